//! `flipgate demo`.
