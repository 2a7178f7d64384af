//! What waits to be posted.
//!
//! Owns: the order, how often each was tried, the wait between two attempts, and how many may wait. Does not know how
//! they are posted, nor the clock: time is handed in.
//!
//! Questions and what is only told have places of their own among those that are posted at the same time: thousands
//! who leave, and a program that does not listen to that, hold nobody up who is about to begin.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::{Outcome, Request, Step, Verdict};
use crate::config::CallbackConfig;

/// Questions that are posted at the same time. Others wait, so that a slow program takes few descriptors.
pub const QUESTIONS_AT_ONCE: usize = 32;
/// Events that are told at the same time.
pub const TOLD_AT_ONCE: usize = 16;
/// From one attempt to the next.
pub const RETRY_WAIT: Duration = Duration::from_millis(500);

/// As many wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too many callbacks wait to be posted (callbacks.waiting)")]
pub struct OutboxFull;

/// Requests in their order; `T` says whose each one is.
#[derive(Debug)]
pub struct Outbox<T> {
    questions: Lane<T>,
    told: Lane<T>,
    /// When one is tried again; also of some that were taken out in between.
    rests: BTreeSet<(Instant, u64)>,
    next: u64,
}

/// Those of one kind.
#[derive(Debug)]
struct Lane<T> {
    /// By number, which is their order: one that is tried again comes in front.
    waiting: BTreeMap<u64, Post<T>>,
    under_way: usize,
    at_once: usize,
    /// Those that are tried again later.
    resting: HashMap<u64, Post<T>>,
}

/// One request on its way. It goes back with [`Outbox::finish`] or [`Outbox::abandon`], whatever became of it.
#[derive(Debug)]
pub struct Post<T> {
    /// The number that [`Outbox::push`] gave.
    pub number: u64,
    /// Whose it is.
    pub owner: T,
    /// What to post.
    pub request: Request,
    attempts: u32,
}

impl<T> Lane<T> {
    fn new(at_once: usize) -> Self {
        Lane { waiting: BTreeMap::new(), under_way: 0, at_once, resting: HashMap::new() }
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.resting.len()
    }

    /// One that has rested waits again.
    fn wake(&mut self, number: u64) {
        if let Some(post) = self.resting.remove(&number) {
            self.waiting.insert(number, post);
        }
    }

    fn cancel(&mut self, number: u64) {
        self.waiting.remove(&number);
        self.resting.remove(&number);
    }

    fn poll(&mut self) -> Option<Post<T>> {
        if self.under_way >= self.at_once {
            return None;
        }
        let (_, mut post) = self.waiting.pop_first()?;
        post.attempts = post.attempts.saturating_add(1);
        self.under_way += 1;
        Some(post)
    }
}

impl<T> Outbox<T> {
    /// Nothing waits.
    pub fn new() -> Self {
        Outbox {
            questions: Lane::new(QUESTIONS_AT_ONCE),
            told: Lane::new(TOLD_AT_ONCE),
            rests: BTreeSet::new(),
            next: 0,
        }
    }

    /// Puts `request` behind the others; gives its number, which no other one has or had. The limit holds for questions
    /// and for what is told, each by itself.
    ///
    /// # Errors
    /// [`OutboxFull`]: a question is refused then, and an event is not told.
    pub fn push(&mut self, config: &CallbackConfig, owner: T, request: Request) -> Result<u64, OutboxFull> {
        let number = self.next + 1;
        let lane = self.lane(request.is_question);
        if lane.len() >= config.waiting {
            return Err(OutboxFull);
        }
        lane.waiting.insert(number, Post { number, owner, request, attempts: 0 });
        self.next = number;
        Ok(number)
    }

    /// The next one to post now.
    pub fn poll(&mut self, now: Instant) -> Option<Post<T>> {
        while let Some(&(at, number)) = self.rests.first().filter(|(at, _)| *at <= now) {
            self.rests.remove(&(at, number));
            self.questions.wake(number);
            self.told.wake(number);
        }
        self.questions.poll().or_else(|| self.told.poll())
    }

    /// One that was under way has ended; its owner and the verdict, unless it is tried again after [`RETRY_WAIT`].
    pub fn finish(
        &mut self,
        now: Instant,
        config: &CallbackConfig,
        post: Post<T>,
        outcome: &Outcome,
    ) -> Option<(T, Verdict)> {
        self.free_place(&post);
        match outcome.step(post.attempts, config) {
            Step::Done(verdict) => Some((post.owner, verdict)),
            Step::Retry => {
                self.rests.insert((now + RETRY_WAIT, post.number));
                self.lane(post.request.is_question).resting.insert(post.number, post);
                None
            }
        }
    }

    /// One that was under way is not wanted any more.
    pub fn abandon(&mut self, post: &Post<T>) {
        self.free_place(post);
    }

    /// Forgets the one with this number, unless it is under way: nobody wants to know any more.
    pub fn cancel(&mut self, number: u64) {
        self.questions.cancel(number);
        self.told.cancel(number);
    }

    /// When [`Outbox::poll`] may have something that it had not before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.rests.first().map(|(at, _)| *at)
    }

    /// How many wait, those that are under way not counted.
    pub fn len(&self) -> usize {
        self.questions.len() + self.told.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lane(&mut self, is_question: bool) -> &mut Lane<T> {
        if is_question { &mut self.questions } else { &mut self.told }
    }

    fn free_place(&mut self, post: &Post<T>) {
        let lane = self.lane(post.request.is_question);
        lane.under_way = lane.under_way.saturating_sub(1);
    }
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(is_question: bool) -> Request {
        Request { url: "http://a/".parse().unwrap(), bytes: Bytes::new(), is_question }
    }

    fn answer(status: u16) -> Outcome {
        Outcome::Answer { status, location: None }
    }

    #[test]
    fn requests_are_posted_in_order_and_tried_again_in_front() {
        let now = Instant::now();
        let config = CallbackConfig { retries: 1, ..CallbackConfig::default() };
        let mut outbox = Outbox::new();
        for owner in ["a", "b"] {
            outbox.push(&config, owner, request(true)).unwrap();
        }
        let first = outbox.poll(now).unwrap();
        assert_eq!(outbox.finish(now, &config, first, &Outcome::NoAnswer), None);
        assert_eq!(outbox.poll_timeout(), Some(now + RETRY_WAIT));
        let later = now + RETRY_WAIT;
        let again = outbox.poll(later).unwrap();
        assert_eq!(again.owner, "a");
        assert_eq!(outbox.finish(later, &config, again, &Outcome::NoAnswer), Some(("a", Verdict::Refuse)));
        let second = outbox.poll(later).unwrap();
        assert_eq!(outbox.finish(later, &config, second, &answer(200)), Some(("b", Verdict::Allow)));
        assert!(outbox.poll(later).is_none() && outbox.is_empty());
    }

    #[test]
    fn one_that_rests_holds_no_other_up() {
        let now = Instant::now();
        let config = CallbackConfig { retries: 1, ..CallbackConfig::default() };
        let mut outbox = Outbox::new();
        for owner in ["a", "b"] {
            outbox.push(&config, owner, request(false)).unwrap();
        }
        let first = outbox.poll(now).unwrap();
        assert_eq!(outbox.finish(now, &config, first, &answer(500)), None);
        assert_eq!(outbox.poll(now).unwrap().owner, "b");
        assert_eq!((outbox.poll(now).is_none(), outbox.len()), (true, 1));
    }

    #[test]
    fn only_so_many_wait_and_only_so_many_are_under_way() {
        let now = Instant::now();
        let config = CallbackConfig { waiting: 40, ..CallbackConfig::default() };
        let mut outbox = Outbox::new();
        let numbers: Vec<u64> = (0..40).map(|owner| outbox.push(&config, owner, request(true)).unwrap()).collect();
        assert_eq!(outbox.push(&config, 40, request(true)), Err(OutboxFull));
        let mut posts: Vec<_> = std::iter::from_fn(|| outbox.poll(now)).collect();
        assert_eq!((posts.len(), outbox.len()), (QUESTIONS_AT_ONCE, 8));
        outbox.finish(now, &config, posts.pop().unwrap(), &answer(204));
        assert_eq!(outbox.poll(now).unwrap().owner, 32);
        outbox.cancel(numbers[33]);
        outbox.abandon(&posts.pop().unwrap());
        assert_eq!(outbox.poll(now).unwrap().owner, 34);
    }

    #[test]
    fn what_is_told_holds_no_question_up() {
        let now = Instant::now();
        let config = CallbackConfig { waiting: 100, ..CallbackConfig::default() };
        let mut outbox = Outbox::new();
        for owner in 0..100 {
            outbox.push(&config, owner, request(false)).unwrap();
        }
        assert_eq!(outbox.push(&config, 100, request(false)), Err(OutboxFull));
        let told = std::iter::from_fn(|| outbox.poll(now)).count();
        assert_eq!(told, TOLD_AT_ONCE);
        outbox.push(&config, 1_000, request(true)).unwrap();
        assert_eq!(outbox.poll(now).unwrap().owner, 1_000);
    }

    #[test]
    fn one_that_is_not_wanted_is_not_tried_again() {
        let now = Instant::now();
        let config = CallbackConfig::default();
        let mut outbox = Outbox::new();
        let number = outbox.push(&config, "a", request(true)).unwrap();
        let post = outbox.poll(now).unwrap();
        assert_eq!(outbox.finish(now, &config, post, &Outcome::NoAnswer), None);
        outbox.cancel(number);
        assert!(outbox.is_empty() && outbox.poll(now + RETRY_WAIT).is_none());
        assert_eq!(outbox.poll_timeout(), None);
    }
}
