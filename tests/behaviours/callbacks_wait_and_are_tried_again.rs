//! Programs that are slow, silent or broken: whoever waits for them waits within limits.

use rtmpd::config::{CallbackConfig, EngineConfig};
use rtmpd::engine::{CloseReason, Protocol};

use crate::backend::{answer_text, is_question, url};
use crate::support::client::Client;
use crate::support::world::World;

fn config() -> CallbackConfig {
    let (on_publish, on_unpublish) = (url("publish"), url("unpublish"));
    CallbackConfig { on_publish, on_unpublish, timeout_ms: 3_000, retries: 2, ..CallbackConfig::default() }
}

fn world(callbacks: CallbackConfig) -> World {
    World::new(EngineConfig { callbacks, ..EngineConfig::default() })
}

fn asks(world: &mut World, name: &str) -> Client {
    let mut client = Client::connected(world, "live");
    client.put_publish(1, name);
    client.flush(world);
    client
}

fn heard(client: &mut Client, world: &mut World) -> String {
    client.said(world).join(" ")
}

#[test]
fn a_silent_program_is_asked_again_and_then_the_client_is_refused() {
    let mut world = world(config());
    let mut client = asks(&mut world, "cam");
    world.wait(2_999);
    assert_eq!(world.posted.len(), 1);
    world.wait(1);
    assert_eq!((world.posts.len(), world.posted.len()), (0, 1), "it waits before it asks again");
    world.wait(500);
    assert_eq!(world.posted.len(), 2);
    world.wait(3_000 + 500 + 2_999);
    // Longer than the time for connecting and publishing: that is not the client's fault.
    assert!(world.is_open(client.link) && world.posted.len() == 3);
    assert_eq!(heard(&mut client, &mut world), "");
    world.wait(1);
    assert!(heard(&mut client, &mut world).contains("NetStream.Publish.Denied"));
    world.wait(5_000);
    assert!(matches!(world.close_reason(client.link), Some(CloseReason::Refused(_))));
    assert_eq!((world.posts.len(), world.posted.len()), (0, 3));
    assert_eq!(world.engine.poll_timeout(), None);
}

#[test]
fn a_program_that_breaks_off_or_fails_is_asked_again() {
    let mut world = world(config());
    let mut client = asks(&mut world, "cam");
    let first = world.post("publish");
    world.answer(first.id, &answer_text(200, "").as_bytes()[..20]);
    world.close_post(first.id);
    world.wait(500);
    let second = world.post("publish");
    assert_ne!(first.id, second.id);
    // What comes late of an attempt that is over counts for nothing.
    world.reply(first.id, 200, "");
    assert_eq!(heard(&mut client, &mut world), "");
    world.reply(second.id, 500, "");
    world.wait(500);
    let third = world.post("publish");
    world.reply(third.id, 200, "");
    assert!(heard(&mut client, &mut world).contains("NetStream.Publish.Start"));
}

#[test]
fn what_is_no_http_is_no_answer() {
    for answer in ["SSH-2.0-x\r\n".to_owned(), format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(20_000))] {
        let mut world = world(CallbackConfig { retries: 0, ..config() });
        let mut client = asks(&mut world, "cam");
        let post = world.post("publish");
        world.answer(post.id, answer.as_bytes());
        assert!(heard(&mut client, &mut world).contains("NetStream.Publish.Denied"));
    }
}

#[test]
fn a_program_that_is_not_there_refuses() {
    let mut world = world(CallbackConfig { retries: 1, ..config() });
    let mut client = asks(&mut world, "cam");
    for _ in 0..2 {
        let post = world.post("publish");
        world.fail_post(post.id);
        world.wait(500);
    }
    assert!(heard(&mut client, &mut world).contains("NetStream.Publish.Denied"));
}

#[test]
fn nobody_is_asked_any_more_about_a_client_that_left() {
    let mut world = world(config());
    let client = asks(&mut world, "cam");
    let post = world.post("publish");
    world.hang_up(client.link);
    assert_eq!(world.posts.len(), 0);
    // Its place is another's by now.
    let mut other = asks(&mut world, "other");
    world.reply(post.id, 200, "");
    assert_eq!(heard(&mut other, &mut world), "");
    assert!(!world.engine.hub().is_published("live/cam"));
    world.allow("publish");
    assert!(heard(&mut other, &mut world).contains("NetStream.Publish.Start"));
    assert_eq!(world.posts.len(), 0, "no end of what never began");
}

#[test]
fn only_so_many_wait_and_the_others_are_refused() {
    let mut world = world(CallbackConfig { waiting: 4, retries: 0, ..config() });
    let mut clients: Vec<Client> = (0..40).map(|number| asks(&mut world, &format!("s{number}"))).collect();
    assert_eq!(world.posts.len(), 32, "as many as are asked at once");
    let refused: Vec<bool> =
        clients.iter_mut().map(|client| heard(client, &mut world).contains("NetStream.Publish.Denied")).collect();
    assert_eq!(refused.iter().position(|is_refused| *is_refused), Some(36), "{refused:?}");
    // Those that waited have their turn when the others have had their time, and end with their own.
    world.wait(3_000);
    assert_eq!(world.posts.len(), 4);
    world.wait(5_000);
    assert_eq!((world.posts.len(), world.engine.hub().stream_count()), (0, 0));
    assert!(clients.iter().all(|client| !world.is_open(client.link) || world.is_shut(client.link)));
}

#[test]
fn a_program_that_does_not_listen_to_ends_holds_no_beginning_up() {
    let mut world = world(CallbackConfig { waiting: 10, ..config() });
    for number in 0..40 {
        let client = asks(&mut world, &format!("s{number}"));
        let question = world.posts.iter().find(|post| is_question(post)).unwrap().id;
        world.reply(question, 200, "");
        world.hang_up(client.link);
    }
    assert_eq!(world.posts.len(), 16);
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let page = String::from_utf8(world.read(link, usize::MAX)).unwrap();
    for line in ["rtmpd_callback_posts_total 56", "rtmpd_callback_untold_total 14", "rtmpd_callbacks_waiting 26"] {
        assert!(page.contains(&format!("\n{line}\n")), "{line}: {page}");
    }
}

#[test]
fn a_client_that_publishes_and_is_asked_about_once_more_is_not_silent_by_that() {
    let mut world = world(CallbackConfig { timeout_ms: 60_000, retries: 0, ..config() });
    let mut client = asks(&mut world, "a");
    world.allow("publish");
    client.put_publish(2, "b");
    client.flush(&mut world);
    world.wait(59_000);
    world.allow("publish");
    assert!(world.engine.hub().is_published("live/a") && world.engine.hub().is_published("live/b"));
}

#[test]
fn a_server_without_callbacks_posts_nothing() {
    let mut world = world(CallbackConfig::default());
    let publisher = Client::publishing(&mut world, "cam");
    let player = Client::playing(&mut world, "cam");
    world.hang_up(publisher.link);
    world.hang_up(player.link);
    world.wait(60_000);
    assert_eq!((world.posted.len(), world.engine.poll_timeout()), (0, None));
}
