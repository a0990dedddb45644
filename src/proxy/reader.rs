//! Who serves a client's reads: by the dial, but under a split the leader while a write of the client is on its way.

use crate::cutover::Cutover;
use crate::side::Side;
use crate::state::Position;

/// Who serves a request that begins at `position`. `client` tells whose it is, and `waits` whether a write of theirs is not
/// in both stores yet: the other store would show them that nothing was written. At 0 and 100 neither is asked.
pub(super) fn side(
    position: Position,
    client: impl FnOnce() -> u64,
    waits: impl FnOnce(u64) -> bool,
) -> Side {
    if matches!(position.dial, 0 | 100) {
        return Cutover::side(position, client);
    }
    let client = client();
    if waits(client) { position.leader } else { Cutover::side(position, || client) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::journal::traffic::Traffic;

    /// Clients whom a half of the dial puts on either side.
    const ON_TO: u64 = 0;
    const ON_FROM: u64 = u64::MAX;

    #[test]
    fn under_a_split_a_client_reads_from_the_leader_until_its_write_is_in_both_stores() {
        let traffic = Arc::new(Traffic::default());
        let read = |leader, client| {
            let position = Position { dial: 50, leader, turn: 1 };
            side(position, || client, |client| traffic.waits(client))
        };
        for leader in Side::BOTH {
            assert_eq!((read(leader, ON_TO), read(leader, ON_FROM)), (Side::To, Side::From));
            let writes = [ON_TO, ON_FROM].map(|client| traffic.begin(&["a".to_owned()], client));
            assert_eq!((read(leader, ON_TO), read(leader, ON_FROM)), (leader, leader));
            assert_eq!(read(leader, 7), Side::To, "another client stays where it is");
            drop(writes);
            assert_eq!((read(leader, ON_TO), read(leader, ON_FROM)), (Side::To, Side::From));
        }
    }

    #[test]
    fn without_a_split_nothing_is_looked_up() {
        for (dial, served_by) in [(0, Side::From), (100, Side::To)] {
            let position = Position { dial, leader: served_by.other(), turn: 1 };
            let side = side(position, || panic!("whose it is"), |_| panic!("whether they wait"));
            assert_eq!(side, served_by);
        }
    }
}
