//! The two backends of a move, in its order: *from* and *to*.

use serde::{Deserialize, Serialize};

/// Which of the two backends: the store moved from, or the store moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The store the move starts from.
    From,
    /// The store the move ends at.
    To,
}

impl Side {
    /// Both sides, *from* first.
    pub const BOTH: [Side; 2] = [Side::From, Side::To];

    /// The opposite side.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::From => Side::To,
            Side::To => Side::From,
        }
    }
}

/// One value for each side.
#[derive(Debug, Clone, Default)]
pub struct Pair<T> {
    /// The value of *from*.
    pub from: T,
    /// The value of *to*.
    pub to: T,
}

impl<T> Pair<T> {
    /// The value of `side`.
    pub fn get(&self, side: Side) -> &T {
        match side {
            Side::From => &self.from,
            Side::To => &self.to,
        }
    }

    /// The value of `side`, to be changed.
    pub fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::From => &mut self.from,
            Side::To => &mut self.to,
        }
    }

    /// Applies `f` to both values.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Pair<U> {
        Pair { from: f(self.from), to: f(self.to) }
    }

    /// A pair from the values of primary and shadow.
    pub fn by_role(primary_side: Side, primary: T, shadow: T) -> Pair<T> {
        match primary_side {
            Side::From => Pair { from: primary, to: shadow },
            Side::To => Pair { from: shadow, to: primary },
        }
    }
}
