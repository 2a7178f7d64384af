//! The operator's program: it is asked and told, and answers late, wrongly, in pieces, or not at all.

use rtmpd::config::{CallbackConfig, CallbackUrl};
use rtmpd::engine::PostRequest;

use crate::model::Model;
use crate::rng::Rng;

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    NotAsked,
    Yes,
    No,
    /// Nothing comes, and so it is refused in the end.
    Never,
}

/// What an operator may want to be asked and told.
pub fn callbacks(rng: &mut Rng) -> CallbackConfig {
    let url = |path: &str| -> CallbackUrl { format!("http://back.end:8000/{path}").parse().expect("a URL") };
    let mut config = CallbackConfig { retries: rng.pick(&[0, 0, 2]), ..CallbackConfig::default() };
    if rng.one_in(3) {
        config.on_unpublish = url("unpublish");
        config.on_stop = url("stop");
        config.on_record_done = url("record_done");
    }
    if rng.one_in(4) {
        config.on_publish = url("publish");
    }
    config
}

fn is_of(post: &PostRequest, event: &str) -> bool {
    let head = format!("POST /{event} ");
    post.bytes.starts_with(head.as_bytes())
}

impl Model {
    /// A publisher asks, and so does the server, where it has to. `true`: it was answered with yes, or not asked.
    pub fn program_decides(&mut self) -> Answered {
        // Those that had no answer are asked again, in the same words.
        let is_new = |post: &&PostRequest| is_of(post, "publish") && !self.unanswered.contains(&post.bytes);
        let Some(post) = self.world.posts.iter().find(is_new).cloned() else { return Answered::NotAsked };
        match self.rng.below(8) {
            0 => {
                self.world.answer(post.id, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
                Answered::No
            }
            1 => {
                self.unanswered.insert(post.bytes);
                Answered::Never
            }
            _ => {
                self.world.answer(post.id, b"HTTP/1.1 200 OK\r\nContent-");
                self.world.answer(post.id, b"Length: 2\r\n\r\nok");
                Answered::Yes
            }
        }
    }

    /// What was told is answered, or not. Questions that are still open stay so.
    pub fn program_works(&mut self) {
        let told: Vec<PostRequest> = self.world.posts.iter().filter(|post| !is_of(post, "publish")).cloned().collect();
        for post in told {
            match self.rng.below(10) {
                0..4 => self.world.answer(post.id, b"HTTP/1.1 204 Fine\r\n\r\n"),
                4 => self.world.answer(post.id, b"HTTP/1.1 500 Not fine\r\nContent-Length: 0\r\n\r\n"),
                5 => self.world.answer(post.id, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
                6 => self.world.answer(post.id, b"this is no HTTP at all\r\n\r\n"),
                7 => self.world.close_post(post.id),
                8 => self.world.fail_post(post.id),
                _ => {}
            }
        }
    }

    /// All that is told is answered.
    pub fn settle_program(&mut self) {
        for _ in 0..10_000 {
            let Some(post) = self.world.posts.first().cloned() else { return };
            self.world.answer(post.id, b"HTTP/1.1 204 Fine\r\n\r\n");
        }
        panic!("seed {}: posts without end", self.seed);
    }

    /// In the end everything was told, once for each who began.
    pub fn finish_program(&mut self) {
        self.settle_program();
        let callbacks = &self.config.callbacks;
        if callbacks.on_unpublish.is_set() && callbacks.retries == 0 {
            let told = self.world.posted.iter().filter(|post| is_of(post, "unpublish")).count();
            assert_eq!(told, self.truth.sessions.len(), "seed {}: ends of publishers that were told", self.seed);
        }
    }
}
