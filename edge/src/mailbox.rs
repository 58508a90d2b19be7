//! A value from one stage → the next; only the latest counts, notices are never lost.
//!
//! Three values travel round: the sender fills one, one waits, the receiver works on one. [`Sender::put`] and
//! [`Receiver::take`] swap, so that no buffer is ever allocated, copied or freed on the way, and a slow receiver finds
//! the newest value, not a queue of old ones. Beside the value a short queue carries notices (faults), which must all
//! arrive. A sender that is dropped without [`Sender::finish`] has died, and the receiver is told so.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Notices that may wait; a sender of one more waits for room.
pub const MAX_NOTICES: usize = 32;

/// What became of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// It waits for the receiver.
    Placed,
    /// It waits for the receiver, in place of an older one that nobody took.
    Overwrote,
    /// The receiver is gone: there is nothing left to do for the sender.
    NobodyReads,
}

/// What the receiver found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken<N> {
    /// A value that was not there before; it is in the caller's hands now.
    Fresh,
    /// A notice; values may wait behind it.
    Notice(N),
    /// Nothing came in the given time.
    Nothing,
    /// A sender was dropped without finishing (its stage's name). Told once for each.
    Died(&'static str),
    /// All senders have finished, everything was taken.
    Finished,
}

struct State<T, N> {
    slot: T,
    fresh: bool,
    notices: VecDeque<N>,
    dead: VecDeque<&'static str>,
    senders: usize,
    receiver: bool,
}

struct Shared<T, N> {
    state: Mutex<State<T, N>>,
    arrived: Condvar,
    room: Condvar,
}

impl<T, N> Shared<T, N> {
    // A poisoned lock is still whole: nothing between lock and unlock in this file can leave the state half done.
    fn lock(&self) -> MutexGuard<'_, State<T, N>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The filling end. One per stage; [`Sender::another`] makes more.
pub struct Sender<T, N> {
    shared: Arc<Shared<T, N>>,
    stage: &'static str,
    finished: bool,
}

/// The emptying end.
pub struct Receiver<T, N> {
    shared: Arc<Shared<T, N>>,
}

/// A mailbox around `slot`, the third of the three values (its content is never delivered).
///
/// `stage` is the name of the sending stage, for when it dies.
pub fn mailbox<T, N>(slot: T, stage: &'static str) -> (Sender<T, N>, Receiver<T, N>) {
    let state = State {
        slot,
        fresh: false,
        notices: VecDeque::with_capacity(MAX_NOTICES),
        dead: VecDeque::with_capacity(4),
        senders: 1,
        receiver: true,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), arrived: Condvar::new(), room: Condvar::new() });
    (Sender { shared: Arc::clone(&shared), stage, finished: false }, Receiver { shared })
}

impl<T, N> Sender<T, N> {
    /// One more sender into the same mailbox, for the stage of that name.
    #[must_use]
    pub fn another(&self, stage: &'static str) -> Self {
        self.shared.lock().senders += 1;
        Self { shared: Arc::clone(&self.shared), stage, finished: false }
    }

    /// Swaps `mine` with the waiting place: afterwards `mine` is some older value, to be filled anew.
    pub fn put(&self, mine: &mut T) -> Put {
        let mut state = self.shared.lock();
        if !state.receiver {
            return Put::NobodyReads;
        }
        mem::swap(mine, &mut state.slot);
        let overwrote = mem::replace(&mut state.fresh, true);
        drop(state);
        self.shared.arrived.notify_one();
        if overwrote { Put::Overwrote } else { Put::Placed }
    }

    /// Queues a notice; waits while [`MAX_NOTICES`] are waiting already. `false`: nobody reads any more.
    pub fn notify(&self, notice: N) -> bool {
        let mut state = self.shared.lock();
        while state.receiver && state.notices.len() >= MAX_NOTICES {
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.receiver {
            return false;
        }
        state.notices.push_back(notice);
        drop(state);
        self.shared.arrived.notify_one();
        true
    }

    /// The stage has done its work and goes; what it put stays to be taken.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl<T, N> Drop for Sender<T, N> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.senders -= 1;
        if !self.finished {
            state.dead.push_back(self.stage);
        }
        drop(state);
        self.shared.arrived.notify_all();
    }
}

impl<T, N> Receiver<T, N> {
    /// Waits at most `patience` for something: notices first, then deaths, then the latest value (swapped with
    /// `mine`), then the end.
    ///
    /// A value that was put before its sender died is not delivered after the death was told: a call after
    /// [`Taken::Died`] may still get it, but its caller knows by then.
    pub fn take(&self, mine: &mut T, patience: Duration) -> Taken<N> {
        let state = self.shared.lock();
        let quiet = |state: &mut State<T, N>| {
            state.notices.is_empty() && state.dead.is_empty() && !state.fresh && state.senders > 0
        };
        let (mut state, _) =
            self.shared.arrived.wait_timeout_while(state, patience, quiet).unwrap_or_else(PoisonError::into_inner);
        if let Some(notice) = state.notices.pop_front() {
            drop(state);
            self.shared.room.notify_one();
            return Taken::Notice(notice);
        }
        if let Some(stage) = state.dead.pop_front() {
            return Taken::Died(stage);
        }
        if mem::take(&mut state.fresh) {
            mem::swap(mine, &mut state.slot);
            return Taken::Fresh;
        }
        if state.senders == 0 { Taken::Finished } else { Taken::Nothing }
    }
}

impl<T, N> Drop for Receiver<T, N> {
    fn drop(&mut self) {
        self.shared.lock().receiver = false;
        self.shared.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::ZERO;

    /// One move of either end, in some order.
    #[derive(Clone, Copy, Debug)]
    enum Move {
        Put,
        Notify,
        Take,
        DropSender { finish: bool },
        DropReceiver,
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            6 => Just(Move::Put),
            2 => Just(Move::Notify),
            6 => Just(Move::Take),
            1 => any::<bool>().prop_map(|finish| Move::DropSender { finish }),
            1 => Just(Move::DropReceiver),
        ];
        prop::collection::vec(one, 0..200)
    }

    proptest! {
        /// Against a model in plain words: whatever the order of moves, the receiver gets the latest value only,
        /// never one twice, every notice once and in order, and the end or the death at last.
        #[test]
        fn any_order_of_moves(moves in moves()) {
            let (sender, receiver) = mailbox::<u64, u64>(0, "capture");
            let (mut sender, mut receiver) = (Some(sender), Some(receiver));
            let (mut filled, mut latest, mut fresh) = (0_u64, 0_u64, false);
            let mut queue = VecDeque::new();
            let mut gone: Option<bool> = None;
            let mut theirs = 0_u64;
            for step in moves {
                match step {
                    Move::Put => {
                        let Some(sender) = &sender else { continue };
                        filled += 1;
                        let mut mine = filled;
                        let expected = match (&receiver, fresh) {
                            (None, _) => Put::NobodyReads,
                            (Some(_), true) => Put::Overwrote,
                            (Some(_), false) => Put::Placed,
                        };
                        prop_assert_eq!(sender.put(&mut mine), expected);
                        if receiver.is_some() {
                            prop_assert_ne!(mine, filled, "the buffer was handed over");
                            (latest, fresh) = (filled, true);
                        }
                    }
                    Move::Notify => {
                        let Some(sender) = &sender else { continue };
                        if queue.len() == MAX_NOTICES { continue }
                        filled += 1;
                        prop_assert_eq!(sender.notify(filled), receiver.is_some());
                        if receiver.is_some() { queue.push_back(filled) }
                    }
                    Move::Take => {
                        let Some(receiver) = &receiver else { continue };
                        let expected = if let Some(notice) = queue.pop_front() {
                            Taken::Notice(notice)
                        } else if gone == Some(false) {
                            gone = Some(true);
                            Taken::Died("capture")
                        } else if std::mem::take(&mut fresh) {
                            Taken::Fresh
                        } else if gone.is_some() {
                            Taken::Finished
                        } else {
                            Taken::Nothing
                        };
                        prop_assert_eq!(receiver.take(&mut theirs, NOW), expected);
                        if expected == Taken::Fresh { prop_assert_eq!(theirs, latest) }
                    }
                    Move::DropSender { finish } => {
                        if let Some(sender) = sender.take() {
                            if finish { sender.finish() } else { drop(sender) }
                            gone = Some(finish);
                        }
                    }
                    Move::DropReceiver => receiver = None,
                }
            }
        }
    }

    /// Threads at full speed: values only ever grow, the last one always arrives, and the three buffers stay three.
    #[test]
    fn two_threads_at_full_speed() {
        const LAST: u64 = 200_000;
        let (sender, receiver) = mailbox::<Box<u64>, u64>(Box::new(0), "capture");
        let sent_notices = AtomicU64::new(0);
        thread::scope(|scope| {
            let sent_notices = &sent_notices;
            scope.spawn(move || {
                let mut mine = Box::new(0);
                for value in 1..=LAST {
                    *mine = value;
                    assert_ne!(sender.put(&mut mine), Put::NobodyReads);
                    if value % 1000 == 0 {
                        assert!(sender.notify(value));
                        sent_notices.fetch_add(1, Ordering::SeqCst);
                    }
                }
                sender.finish();
            });
            let mut theirs = Box::new(0);
            let (mut before, mut last_notice, mut notices) = (0, 0, 0);
            loop {
                match receiver.take(&mut theirs, Duration::from_secs(5)) {
                    Taken::Fresh => {
                        assert!(*theirs > before, "{theirs} after {before}");
                        before = *theirs;
                    }
                    Taken::Notice(at) => {
                        assert!(at > last_notice);
                        (last_notice, notices) = (at, notices + 1);
                    }
                    Taken::Finished => break,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(before, LAST);
            assert_eq!(notices, sent_notices.load(Ordering::SeqCst));
        });
    }

    #[test]
    fn a_panicking_sender_has_died() {
        let (sender, receiver) = mailbox::<u8, u8>(0, "vision");
        let other = sender.another("capture");
        let worker = thread::spawn(move || {
            let _held = sender;
            panic!("a panic that this test wants");
        });
        assert!(worker.join().is_err());
        let mut mine = 0;
        assert_eq!(receiver.take(&mut mine, NOW), Taken::Died("vision"));
        assert_eq!(receiver.take(&mut mine, NOW), Taken::Nothing);
        other.finish();
        assert_eq!(receiver.take(&mut mine, NOW), Taken::Finished);
    }

    #[test]
    fn a_sender_that_waits_for_room_learns_that_nobody_reads() {
        let (sender, receiver) = mailbox::<u8, usize>(0, "capture");
        for notice in 0..MAX_NOTICES {
            assert!(sender.notify(notice));
        }
        let waiting = thread::spawn(move || sender.notify(MAX_NOTICES));
        drop(receiver);
        assert!(!waiting.join().expect("the sender ends"));
    }
}
