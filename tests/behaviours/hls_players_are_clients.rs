//! Who watches over HLS is one client, however many requests and connections that takes, and its end is told.

use rtmpd::config::EngineConfig;
use rtmpd::engine::Protocol;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::frames;
use crate::support::world::{LinkId, World};

/// A stream with HLS: the group of pictures of so many seconds.
struct Studio {
    world: World,
    publisher: Client,
    at_ms: u32,
}

impl Studio {
    fn new() -> Studio {
        let mut world = World::new(EngineConfig::default());
        world.engine.set_wall_clock(world.now, 1_700_000_000_000);
        let publisher = Client::publishing(&mut world, "cam");
        let mut studio = Studio { world, publisher, at_ms: 0 };
        studio.publisher.put(9, 1, 0, &frames::video_header(320, 176).payload);
        studio.publisher.put(8, 1, 0, &frames::audio_header(false).payload);
        studio.run(6);
        studio
    }

    /// So many seconds of pictures go by, a key frame in each.
    fn run(&mut self, seconds: u32) {
        for number in 0..seconds * 25 {
            let picture = frames::video(self.at_ms.into(), number % 25 == 0, 0, 1_000);
            self.publisher.put(9, 1, self.at_ms, &picture.payload);
            self.publisher.put(8, 1, self.at_ms, &frames::audio(self.at_ms.into(), 50).payload);
            self.publisher.flush(&mut self.world);
            self.world.wait(40);
            self.at_ms += 40;
        }
    }

    fn connect(&mut self, peer: [u8; 4]) -> LinkId {
        self.world.try_accept_from(Protocol::Http, peer.into()).unwrap()
    }

    /// Status and body of the answer.
    fn get(&mut self, link: LinkId, path: &str) -> (u16, String) {
        self.ask(link, &format!("GET {path}"))
    }

    fn ask(&mut self, link: LinkId, request: &str) -> (u16, String) {
        self.world.send(link, format!("{request} HTTP/1.1\r\nHost: localhost:8080\r\n\r\n").as_bytes());
        let text = String::from_utf8_lossy(&self.world.read(link, usize::MAX)).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request}: {text:?}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn api(&mut self, path: &str) -> Value {
        let link = self.connect([127, 0, 0, 1]);
        let (status, body) = self.get(link, &format!("/api/v1/{path}"));
        self.world.hang_up(link);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn delete(&mut self, id: &str) -> u16 {
        let link = self.connect([127, 0, 0, 1]);
        let (status, _) = self.ask(link, &format!("DELETE /api/v1/clients/{id}"));
        self.world.hang_up(link);
        status
    }

    /// The players over HLS among the clients.
    fn viewers(&mut self) -> Vec<Value> {
        let Value::Array(clients) = self.api("clients?stream=live/cam") else { panic!("no list") };
        clients.into_iter().filter(|client| client["role"] == "player").collect()
    }

    /// The player that makes HLS begin waits for its first segment.
    fn begin_hls(&mut self, link: LinkId) {
        self.world.send(link, b"GET /live/cam.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n");
        self.run(4);
        self.world.read(link, usize::MAX);
    }

    /// Begins to watch; where the media playlist is.
    fn watch(&mut self, link: LinkId) -> String {
        let (status, playlist) = self.get(link, "/live/cam.m3u8");
        assert_eq!(status, 200, "{playlist}");
        let uri = playlist.lines().find(|line| line.starts_with("cam/media.m3u8")).unwrap();
        format!("/live/{uri}")
    }
}

/// The newest whole segment of a playlist.
fn segment(playlist: &str) -> String {
    format!("/live/cam/{}", playlist.lines().rfind(|line| line.starts_with("seg-")).unwrap())
}

const NEAR: [u8; 4] = [192, 0, 2, 7];
const FAR: [u8; 4] = [198, 51, 100, 1];

#[test]
fn one_player_is_one_client_with_its_bytes_whatever_connections_it_uses() {
    let mut studio = Studio::new();
    let first = studio.connect(NEAR);
    studio.begin_hls(first);
    let media = studio.watch(first);
    assert_eq!(studio.viewers(), [] as [Value; 0], "an address that was looked at is no player");
    let before = studio.api("streams/live/cam")["bytes_out"].as_u64().unwrap();
    let (_, playlist) = studio.get(first, &media);
    let [viewer] = &studio.viewers()[..] else { panic!("not one") };
    assert_eq!(
        (&viewer["id"], &viewer["protocol"], &viewer["stream"]),
        (&json!("hls-0"), &json!("hls"), &json!("live/cam"))
    );
    assert_eq!(viewer["peer"], "192.0.2.7:1");
    // Segments on this connection, and on another one that names no session, are its own.
    studio.get(first, &segment(&playlist));
    let second = studio.connect(NEAR);
    studio.get(second, &segment(&playlist));
    let [viewer] = &studio.viewers()[..] else { panic!("not one") };
    let sent = viewer["bytes_out"].as_u64().unwrap();
    // Two times a second of pictures at least.
    assert!(sent > 50_000 && viewer["bytes_in"].as_u64() > Some(100), "{viewer}");
    // The connections themselves play nothing.
    let clients = studio.api("clients");
    let roles: Vec<_> = clients.as_array().unwrap().iter().filter(|client| client["peer"] == "192.0.2.7:1").collect();
    assert_eq!(roles.iter().filter(|client| client["role"] == "none").count(), 2, "{clients}");
    // The stream has its bytes and its player, and so has the server.
    let stream = studio.api("streams/live/cam");
    assert_eq!(stream["players"]["hls"], 1);
    assert_eq!(stream["bytes_out"].as_u64().unwrap() - before, sent, "all that went out since then is its");
    assert_eq!(studio.api("server")["players"], 1);
    assert_eq!(studio.api("clients/hls-0")["bytes_out"], sent);
}

#[test]
fn a_player_that_asks_no_more_has_ended_and_the_reason_is_told() {
    let mut studio = Studio::new();
    let (near, far) = (studio.connect(NEAR), studio.connect(FAR));
    studio.begin_hls(near);
    let (of_near, of_far) = (studio.watch(near), studio.watch(far));
    for _ in 0..3 {
        studio.get(near, &of_near);
        studio.get(far, &of_far);
        studio.run(1);
    }
    assert_eq!(studio.viewers().len(), 2);
    // One goes on, the other does not.
    for _ in 0..20 {
        studio.get(near, &of_near);
        studio.run(1);
    }
    let [left] = &studio.viewers()[..] else { panic!("not one") };
    assert_eq!(left["peer"], "192.0.2.7:1");
    let ended = studio.api("sessions")[0].clone();
    assert_eq!(
        (&ended["peer"], &ended["protocol"], &ended["role"]),
        (&json!("198.51.100.1:1"), &json!("hls"), &json!("player"))
    );
    assert_eq!((&ended["stream"], &ended["reason"]), (&json!("live/cam"), &json!("asks for nothing any more")));
    assert_eq!(ended["duration_s"], 2.0, "from its first request to its last one");
    // The stream ends: so does the other one.
    studio.publisher.put_delete_stream(1);
    studio.publisher.flush(&mut studio.world);
    studio.world.wait(15_000);
    let sessions = studio.api("sessions");
    let newest = sessions.as_array().unwrap().iter().find(|session| session["protocol"] == "hls").unwrap();
    assert_eq!((&newest["reason"], &newest["peer"]), (&json!("the stream ended"), &json!("192.0.2.7:1")));
}

#[test]
fn an_operator_closes_a_player_over_hls_and_it_may_begin_anew() {
    let mut studio = Studio::new();
    let (near, far) = (studio.connect(NEAR), studio.connect(FAR));
    studio.begin_hls(near);
    let (of_near, of_far) = (studio.watch(near), studio.watch(far));
    studio.get(near, &of_near);
    studio.get(far, &of_far);
    let id = studio.viewers().iter().find(|it| it["peer"] == "192.0.2.7:1").unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(studio.delete(&id), 204);
    studio.world.wait(2_000);
    assert!(!studio.world.is_open(near) && studio.world.is_open(far), "its connections are closed, no others");
    assert_eq!(studio.delete(&id), 404, "it is gone");
    assert_eq!(studio.viewers().len(), 1);
    let ended = studio.api("sessions")[0].clone();
    assert_eq!((&ended["peer"], &ended["reason"]), (&json!("192.0.2.7:1"), &json!("closed by the operator")));
    // Its session is refused for as long as it goes on asking, and longer than it would have been remembered.
    for _ in 0..6 {
        let again = studio.connect(NEAR);
        assert_eq!(studio.get(again, &of_near).0, 403);
        studio.get(far, &of_far);
        studio.run(5);
    }
    assert_eq!(studio.api("streams/live/cam")["players"]["hls"], 1);
    // Like any other it may begin anew.
    let again = studio.connect(NEAR);
    let media = studio.watch(again);
    assert_eq!(studio.get(again, &media).0, 200);
    assert_eq!(studio.viewers().len(), 2);
    assert_eq!(studio.api("sessions").as_array().unwrap().len(), 1, "who is refused is no session");
}

#[test]
fn players_over_hls_end_with_the_server() {
    let mut studio = Studio::new();
    let link = studio.connect(NEAR);
    studio.begin_hls(link);
    let media = studio.watch(link);
    studio.get(link, &media);
    assert_eq!(studio.viewers().len(), 1);
    studio.world.shut_down();
    studio.world.wait(5_000);
    assert_eq!(studio.world.open_links(), []);
}
