//! Who wins where both stores have a row: pure, and the same in both directions.

use super::row::{Digest, Row, Table};
use crate::dashboard::subjects::subjects;

/// Former agreements kept with a row.
pub(super) const REMEMBERED: usize = 16;

/// One side's row as far as the judgement goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) row: &'a Row,
    pub(super) digest: Digest,
    /// When it says it was last changed, in microseconds since 1970.
    pub(super) updated_at: Option<i64>,
}

/// What both sides once agreed on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreement<'a> {
    pub(super) last: Option<Digest>,
    pub(super) before: &'a [Digest],
}

/// What becomes of the row that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Both are the same.
    Same,
    /// The incoming row replaces it.
    Replace,
    /// It stays, since it is the newer one.
    Stay,
    /// It stays, and someone must decide.
    Conflict(&'static str),
}

/// Judges an incoming row against the one that is present.
pub(super) fn judge(
    table: Table,
    incoming: Side<'_>,
    present: Side<'_>,
    agreement: Agreement<'_>,
    overwrite: bool,
) -> Verdict {
    if incoming.digest == present.digest {
        return Verdict::Same;
    }
    if overwrite {
        return Verdict::Replace;
    }
    let verdict = match (agreement.age(incoming.digest), agreement.age(present.digest)) {
        (Some(incoming), Some(present)) if incoming < present => Verdict::Replace,
        (Some(_), Some(_)) => match by_time(incoming.updated_at, present.updated_at) {
            Verdict::Conflict(_) => {
                Verdict::Conflict("it is what it was before: an old copy, or changed back")
            }
            decided @ (Verdict::Same | Verdict::Replace | Verdict::Stay) => decided,
        },
        (Some(_), None) => Verdict::Stay,
        (None, Some(_)) => match (incoming.updated_at, present.updated_at) {
            (Some(incoming), Some(present)) if incoming < present => {
                Verdict::Conflict("it was changed, yet its updated_at is older than what it would replace")
            }
            (Some(_) | None, Some(_) | None) => Verdict::Replace,
        },
        (None, None) => by_time(incoming.updated_at, present.updated_at),
    };
    match verdict {
        Verdict::Replace if table == Table::Content && curated(present.row) && !curated(incoming.row) => {
            Verdict::Conflict("it would lose its curated subcategories")
        }
        Verdict::Same | Verdict::Replace | Verdict::Stay | Verdict::Conflict(_) => verdict,
    }
}

// === impl Agreement ===

impl Agreement<'_> {
    /// How many agreements were made since this one; `None` if it is none.
    fn age(&self, digest: Digest) -> Option<usize> {
        self.last.iter().chain(self.before).position(|agreed| *agreed == digest)
    }
}

fn by_time(incoming: Option<i64>, present: Option<i64>) -> Verdict {
    match (incoming, present) {
        (Some(incoming), Some(present)) if incoming > present => Verdict::Replace,
        (Some(incoming), Some(present)) if incoming < present => Verdict::Stay,
        (Some(_), Some(_)) => Verdict::Conflict("it was changed on both sides at the same updated_at"),
        (None, _) | (_, None) => {
            Verdict::Conflict("it was changed on both sides, and not both have an updated_at")
        }
    }
}

/// Whether a record has at least one subcategory under a category in `subcategories_json`.
pub(crate) fn curated(row: &Row) -> bool {
    let text = row.cell("subcategories_json").plain();
    subjects(text.as_deref()).iter().any(|subject| !subject.subcategories.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::cell::Cell;
    use super::super::row::Columns;
    use super::*;

    const CURATED: &str = r#"{"categories":[{"category":"A","subcategories":["b"]}]}"#;

    fn row(subcategories: &str) -> Row {
        let cell = Cell::Text(subcategories.into());
        Row::new(Columns::new(vec!["subcategories_json".into()]), vec![cell])
    }

    /// Judges rows named by a letter, `x` being one of no agreement, with times.
    fn verdict(incoming: (u8, Option<i64>), present: (u8, Option<i64>), agreed: &[u8]) -> Verdict {
        let row = row("");
        let side = |(name, updated_at)| Side { row: &row, digest: Digest([name; 32]), updated_at };
        let agreed: Vec<Digest> = agreed.iter().map(|name| Digest([*name; 32])).collect();
        let agreement =
            Agreement { last: agreed.first().copied(), before: agreed.get(1..).unwrap_or_default() };
        judge(Table::Content, side(incoming), side(present), agreement, false)
    }

    #[test]
    fn the_side_that_left_the_agreement_wins() {
        assert_eq!(verdict((b'b', None), (b'a', None), b"a"), Verdict::Replace);
        assert_eq!(verdict((b'a', None), (b'b', None), b"a"), Verdict::Stay);
        assert_eq!(verdict((b'b', None), (b'b', None), b"a"), Verdict::Same);
    }

    #[test]
    fn what_was_before_does_not_come_back_by_itself() {
        for times in [(None, None), (Some(1), None), (Some(1), Some(1))] {
            assert!(matches!(verdict((b'a', times.0), (b'b', times.1), b"ba"), Verdict::Conflict(_)));
        }
        assert_eq!(verdict((b'a', Some(1)), (b'b', Some(2)), b"ba"), Verdict::Stay);
        assert_eq!(verdict((b'a', Some(2)), (b'b', Some(1)), b"ba"), Verdict::Replace);
        // Never seen, but older than what both agreed on: the other machine's file.
        assert!(matches!(verdict((b'x', Some(1)), (b'b', Some(2)), b"ba"), Verdict::Conflict(_)));
        assert_eq!(verdict((b'x', None), (b'b', Some(2)), b"ba"), Verdict::Replace);
    }

    #[test]
    fn an_old_copy_changes_nothing_and_is_brought_up_to_date() {
        assert_eq!(verdict((b'b', None), (b'a', None), b"ba"), Verdict::Replace);
        assert_eq!(verdict((b'x', None), (b'a', None), b"ba"), Verdict::Replace);
        assert_eq!(verdict((b'a', Some(9)), (b'x', Some(1)), b"ba"), Verdict::Stay);
    }

    #[test]
    fn where_both_left_it_the_newer_wins_or_nobody() {
        for agreed in [b"a".as_slice(), b""] {
            assert_eq!(verdict((b'x', Some(2)), (b'y', Some(1)), agreed), Verdict::Replace);
            assert_eq!(verdict((b'x', Some(1)), (b'y', Some(2)), agreed), Verdict::Stay);
            for (incoming, present) in [(None, Some(1)), (Some(1), None), (None, None), (Some(1), Some(1))] {
                let verdict = verdict((b'x', incoming), (b'y', present), agreed);
                assert!(matches!(verdict, Verdict::Conflict(_)), "{incoming:?} {present:?}");
            }
        }
    }

    #[test]
    fn nobody_loses_curated_subcategories_without_being_asked() {
        let (with, without) = (row(CURATED), row(r#"{"categories":[{"category":"A","subcategories":[]}]}"#));
        let side = |row, name| Side { row, digest: Digest([name; 32]), updated_at: None };
        let agreement = Agreement { last: Some(Digest([b'a'; 32])), before: &[] };
        let judged = |table, incoming, present, overwrite| {
            judge(table, side(incoming, b'b'), side(present, b'a'), agreement, overwrite)
        };
        assert!(matches!(judged(Table::Content, &without, &with, false), Verdict::Conflict(_)));
        assert_eq!(judged(Table::Content, &without, &with, true), Verdict::Replace);
        assert_eq!(judged(Table::Content, &with, &without, false), Verdict::Replace);
        assert_eq!(judged(Table::Variants, &without, &with, false), Verdict::Replace);
    }

    #[test]
    fn curated_is_what_has_a_subcategory_under_a_category() {
        assert!(curated(&row(CURATED)));
        for text in ["", "{", "[]", r#"{"categories":[]}"#, r#"{"categories":[{"subcategories":["b"]}]}"#] {
            assert!(!curated(&row(text)), "{text}");
        }
    }
}
