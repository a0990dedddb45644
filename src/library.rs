//! A generated video library in the dashboard's SQLite schema.
