//! What waits to be posted.
//!
//! Owns: the order, how often each was tried, and how many may wait. Does not know how they are posted.

use std::collections::VecDeque;

use thiserror::Error;

use super::{Outcome, Request, Step, Verdict};
use crate::config::CallbackConfig;

/// Posts that are under way at the same time. Others wait, so that a slow program takes few descriptors.
pub const POSTS_AT_ONCE: usize = 16;

/// As many wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too many callbacks wait to be posted (callbacks.waiting)")]
pub struct OutboxFull;

/// Requests in their order; `T` says whose each one is.
#[derive(Debug)]
pub struct Outbox<T> {
    waiting: VecDeque<Post<T>>,
    under_way: usize,
}

/// One request on its way. It goes back with [`Outbox::finish`], whatever became of it.
#[derive(Debug)]
pub struct Post<T> {
    /// Whose it is.
    pub owner: T,
    /// What to post.
    pub request: Request,
    attempts: u32,
}

impl<T> Outbox<T> {
    /// Nothing waits.
    pub fn new() -> Self {
        Outbox { waiting: VecDeque::new(), under_way: 0 }
    }

    /// Puts `request` behind the others.
    ///
    /// # Errors
    /// [`OutboxFull`]: a question is refused then, and an event is not told.
    pub fn push(&mut self, config: &CallbackConfig, owner: T, request: Request) -> Result<(), OutboxFull> {
        if self.waiting.len() >= config.waiting {
            return Err(OutboxFull);
        }
        self.waiting.push_back(Post { owner, request, attempts: 0 });
        Ok(())
    }

    /// The next one to post now.
    pub fn poll(&mut self) -> Option<Post<T>> {
        if self.under_way >= POSTS_AT_ONCE {
            return None;
        }
        let mut post = self.waiting.pop_front()?;
        post.attempts = post.attempts.saturating_add(1);
        self.under_way += 1;
        Some(post)
    }

    /// One that was under way has ended; its owner and the verdict, unless it is tried again (in front of the others,
    /// so that their order stays).
    pub fn finish(&mut self, config: &CallbackConfig, post: Post<T>, outcome: &Outcome) -> Option<(T, Verdict)> {
        self.under_way = self.under_way.saturating_sub(1);
        match outcome.step(post.attempts, config) {
            Step::Done(verdict) => Some((post.owner, verdict)),
            Step::Retry => {
                self.waiting.push_front(post);
                None
            }
        }
    }

    /// Forgets what waits of owners that are not `wanted` any more; one whose client is gone need not be asked about.
    pub fn retain(&mut self, mut wanted: impl FnMut(&T, &Request) -> bool) {
        self.waiting.retain(|post| wanted(&post.owner, &post.request));
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
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

    fn request() -> Request {
        Request { url: "http://a/".parse().unwrap(), bytes: Bytes::new(), is_question: true }
    }

    fn answer(status: u16) -> Outcome {
        Outcome::Answer { status, location: None }
    }

    #[test]
    fn requests_are_posted_in_order_and_tried_again_in_front() {
        let config = CallbackConfig { retries: 1, ..CallbackConfig::default() };
        let mut outbox = Outbox::new();
        for owner in ["a", "b"] {
            outbox.push(&config, owner, request()).unwrap();
        }
        let first = outbox.poll().unwrap();
        assert_eq!(outbox.finish(&config, first, &Outcome::NoAnswer), None);
        let again = outbox.poll().unwrap();
        assert_eq!(again.owner, "a");
        assert_eq!(outbox.finish(&config, again, &Outcome::NoAnswer), Some(("a", Verdict::Refuse)));
        let second = outbox.poll().unwrap();
        assert_eq!(outbox.finish(&config, second, &answer(200)), Some(("b", Verdict::Allow)));
        assert!(outbox.poll().is_none() && outbox.is_empty());
    }

    #[test]
    fn only_so_many_wait_and_only_so_many_are_under_way() {
        let config = CallbackConfig { waiting: 20, ..CallbackConfig::default() };
        let mut outbox = Outbox::new();
        for owner in 0..20 {
            assert_eq!(outbox.push(&config, owner, request()), Ok(()));
        }
        assert_eq!(outbox.push(&config, 20, request()), Err(OutboxFull));
        let mut posts: Vec<_> = std::iter::from_fn(|| outbox.poll()).collect();
        assert_eq!((posts.len(), outbox.len()), (POSTS_AT_ONCE, 4));
        outbox.finish(&config, posts.pop().unwrap(), &answer(204));
        assert_eq!(outbox.poll().unwrap().owner, 16);
        outbox.retain(|owner, _| *owner != 18);
        assert_eq!(outbox.len(), 2);
    }
}
