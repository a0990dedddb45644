//! What a caller may do, as the guard found it.

/// How far a caller's token reaches; and how far it must, for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// What anybody may ask.
    Nothing,
    /// What changes nothing.
    Reading,
    /// What changes the state, too.
    Everything,
}
