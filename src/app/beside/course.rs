//! How the records of a store go on: whether they got fewer or older than they were.

use chrono::DateTime;

use super::records;

/// What a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) records: u64,
    /// Records with curated subcategories.
    pub(super) curated: u64,
    /// The latest time a record was indexed or updated, in microseconds since 1970.
    pub(super) newest: Option<i64>,
}

/// Look after look at one store.
#[derive(Debug, Default)]
pub(super) struct Course {
    known: Option<Counts>,
    /// Own deletes noted until the last look, and whether that was news.
    own: u64,
    moved: bool,
    /// What was known before records got fewer, until another look: the delete may be one of ours that is not noted yet.
    suspected: Option<Counts>,
}

// === impl Counts ===

impl Counts {
    /// What of `now` is less than it was.
    fn fewer(&self, now: &Self) -> Vec<String> {
        let mut less = Vec::new();
        if now.records < self.records {
            less.push(format!("{}, where there were {}", records(now.records), self.records));
        }
        if now.curated < self.curated {
            let what = records(now.curated);
            less.push(format!("{what} with subcategories, where there were {}", self.curated));
        }
        less
    }

    fn older(&self, now: &Self) -> Option<String> {
        let (before, newest) = (self.newest?, now.newest?);
        let day = |micros| DateTime::from_timestamp_micros(micros).map(|at| at.format("%F %T"));
        let (was, is) = (day(before)?, day(newest)?);
        (newest < before).then(|| format!("its newest record is of {is}, where it was of {was}"))
    }
}

// === impl Course ===

impl Course {
    /// What went back, since the last look or, where records got fewer, since the one before. `own` is how many deletes of
    /// ours there were; `replaced`, whether this is another file.
    pub(super) fn judge(&mut self, now: Counts, own: u64, replaced: bool) -> Option<String> {
        let moved = std::mem::replace(&mut self.own, own) != own;
        let moved_before = std::mem::replace(&mut self.moved, moved);
        let suspected = self.suspected.take();
        let known = self.known.replace(now)?;
        let less = if replaced {
            let known = suspected.unwrap_or(known);
            known.fewer(&now).into_iter().chain(known.older(&now)).collect()
        } else if moved {
            Vec::new()
        } else if let Some(before) = suspected {
            before.fewer(&now)
        } else {
            if !moved_before && !known.fewer(&now).is_empty() {
                self.suspected = Some(known);
            }
            Vec::new()
        };
        (!less.is_empty()).then(|| less.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(records: u64, curated: u64, newest: i64) -> Counts {
        Counts { records, curated, newest: Some(newest * 1_000_000) }
    }

    #[test]
    fn fewer_records_are_told_once_and_only_when_no_delete_of_ours_was_near() {
        let mut course = Course::default();
        assert_eq!(course.judge(counts(30, 20, 5), 0, false), None, "the first look learns");
        assert_eq!(course.judge(counts(29, 19, 5), 0, false), None, "it may be ours");
        let told = course.judge(counts(29, 19, 5), 0, false);
        let expected =
            "29 records, where there were 30 and 19 records with subcategories, where there were 20";
        assert_eq!(told.as_deref(), Some(expected));
        assert_eq!(course.judge(counts(29, 19, 5), 0, false), None);
        // Noted before it was done, at once, and after it was done.
        for own in [[1, 1, 1], [1, 2, 2], [2, 2, 3]] {
            let mut course = Course { known: Some(counts(30, 20, 5)), ..Course::default() };
            course.judge(counts(30, 20, 5), own[0], false);
            assert_eq!(course.judge(counts(29, 20, 5), own[1], false), None, "{own:?}");
            assert_eq!(course.judge(counts(29, 20, 5), own[2], false), None, "{own:?}");
        }
        // One that came back meanwhile was a file being written in place.
        course.judge(counts(1, 1, 5), 0, false);
        assert_eq!(course.judge(counts(29, 19, 5), 0, false), None);
    }

    #[test]
    fn another_file_may_be_neither_smaller_nor_older() {
        let mut course = Course::default();
        course.judge(counts(30, 20, 86_400), 0, false);
        assert_eq!(course.judge(counts(30, 20, 86_400), 1, true), None);
        let older = course.judge(counts(31, 20, 0), 2, true);
        let expected = "its newest record is of 1970-01-01 00:00:00, where it was of 1970-01-02 00:00:00";
        assert_eq!(older.as_deref(), Some(expected));
        assert_eq!(course.judge(counts(1, 0, 0), 3, true).unwrap().matches("where there were").count(), 2);
    }
}
