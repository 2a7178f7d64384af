//! The operator's program as the engine sees it: posts that the tests read and answer.

use rtmpd::config::{CallbackConfig, CallbackUrl};
use rtmpd::engine::{PostId, PostRequest};
use serde_json::Value;

use crate::support::world::World;

pub fn url(path: &str) -> CallbackUrl {
    format!("http://back.end:8000/{path}").parse().unwrap()
}

/// Everything is asked and told.
pub fn everything() -> CallbackConfig {
    CallbackConfig {
        on_connect: url("connect"),
        on_publish: url("publish"),
        on_play: url("play"),
        on_unpublish: url("unpublish"),
        on_stop: url("stop"),
        on_record_done: url("record_done"),
        ..CallbackConfig::default()
    }
}

/// What a post says in JSON.
pub fn said(post: &PostRequest) -> Value {
    serde_json::from_str(body(post)).unwrap()
}

pub fn body(post: &PostRequest) -> &str {
    let text = std::str::from_utf8(&post.bytes).unwrap();
    text.split_once("\r\n\r\n").unwrap().1
}

pub fn event(post: &PostRequest) -> String {
    said(post)["event"].as_str().unwrap().to_owned()
}

pub fn answer_text(status: u16, fields: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n{fields}\r\nok")
}

impl World {
    /// The only post that is under way; it is of this event.
    pub fn post(&self, wanted: &str) -> PostRequest {
        let [post] = &self.posts[..] else { panic!("{wanted}: {:?}", self.waiting_events()) };
        assert_eq!(event(post), wanted);
        post.clone()
    }

    pub fn waiting_events(&self) -> Vec<String> {
        self.posts.iter().map(event).collect()
    }

    pub fn reply(&mut self, post: PostId, status: u16, fields: &str) {
        self.answer(post, answer_text(status, fields).as_bytes());
    }

    /// The question that is open is answered; what it said.
    pub fn allow(&mut self, wanted: &str) -> Value {
        let post = self.post(wanted);
        self.reply(post.id, 200, "");
        said(&post)
    }

    /// The question that is open is answered with another name.
    pub fn rename(&mut self, wanted: &str, location: &str) {
        let post = self.post(wanted);
        self.reply(post.id, 302, &format!("Location: {location}\r\n"));
    }

    pub fn refuse(&mut self, wanted: &str) {
        let post = self.post(wanted);
        self.reply(post.id, 403, "");
    }

    /// All that is told is taken note of; what it was.
    pub fn told(&mut self) -> Vec<Value> {
        let mut told = Vec::new();
        while let Some(post) = self.posts.iter().find(|post| !is_question(post)).cloned() {
            self.reply(post.id, 204, "");
            told.push(said(&post));
        }
        told
    }

    /// Names of all that is told, with their streams.
    pub fn told_words(&mut self) -> Vec<String> {
        let told = self.told();
        told.iter().map(|it| format!("{} {}", it["event"], it["stream"]).replace('"', "")).collect()
    }
}

pub fn is_question(post: &PostRequest) -> bool {
    matches!(event(post).as_str(), "connect" | "publish" | "play")
}
