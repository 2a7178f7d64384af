//! What programs are told and what they answer: a client cannot say what the server says, and no answer can do more
//! than allow, refuse or rename.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmpd::callback::{Client, Event as Told, Outbox, Outcome, Traffic, Verdict, request};
use rtmpd::config::{CallbackConfig, CallbackFormat, CallbackUrl, HttpLimits};
use rtmpd::http::client::{ResponseLimits, ResponseReader};
use rtmpd::http::{Event, HttpSession, Method};
use rtmpd::wire::percent_decode;

use super::script::{Script, pieces};

const TEXTS: usize = 9;
const USUAL_URL: &str = "http://127.0.0.1:8000/hook?x=1";
/// Names of a form that only the server may use.
const OURS: [&str; 9] = ["app", "flashver", "swfurl", "tcurl", "pageurl", "addr", "clientid", "call", "name"];
const WAITING: usize = 5;

/// First byte: event and format. Second: how an answer is cut, and steps for what waits. Then lines: a URL, what the
/// client said, and an answer.
pub fn callback(data: &[u8]) {
    let mut script = Script::new(data);
    let (flags, how) = (script.u8(), script.u8());
    let text = String::from_utf8_lossy(script.rest());
    let mut lines: Vec<&str> = text.splitn(TEXTS + 1, '\n').collect();
    lines.resize(TEXTS + 1, "");
    let url = lines[0].parse::<CallbackUrl>().ok().filter(CallbackUrl::is_set);
    if let Some(url) = &url {
        assert!(!url.host().is_empty() && url.port() > 0, "{url:?}");
        assert!(url.authority().starts_with(url.host()), "{url:?}");
    }
    // Any other path is posted as the operator typed it, and our own server may refuse it.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/?=&-_".contains(&byte);
    let url = url.filter(|url| url.path_and_query().bytes().all(is_plain));
    let url = url.unwrap_or_else(|| USUAL_URL.parse().expect("a URL"));
    let client = Client {
        id: 7,
        peer: SocketAddr::from(([192, 0, 2, 1], 5_000)),
        vhost: lines[1],
        app: lines[2],
        stream: lines[3],
        query: lines[4],
        tc_url: lines[5],
        flash_ver: lines[6],
        swf_url: lines[7],
        page_url: lines[8],
    };
    let is_form = flags & 8 != 0;
    let config = config(&url, is_form);
    told(&config, &event(flags, lines[1]), &client, is_form);
    answered(lines[TEXTS].as_bytes(), how, &config);
    waits(data, &config, &client);
}

fn config(url: &CallbackUrl, is_form: bool) -> CallbackConfig {
    CallbackConfig {
        on_connect: url.clone(),
        on_publish: url.clone(),
        on_play: url.clone(),
        on_unpublish: url.clone(),
        on_stop: url.clone(),
        on_record_done: url.clone(),
        format: if is_form { CallbackFormat::Form } else { CallbackFormat::Json },
        waiting: WAITING,
        retries: 1,
        ..CallbackConfig::default()
    }
}

fn event(flags: u8, path: &str) -> Told<'_> {
    let traffic = Traffic { duration_ms: 1, bytes_in: u64::MAX, bytes_out: 3 };
    match flags & 7 {
        0 => Told::Connect,
        1 => Told::Publish,
        2 => Told::Play,
        3 => Told::Unpublish(traffic),
        4 => Told::Stop(traffic),
        _ => Told::RecordDone { path, bytes: 5, duration_ms: 6 },
    }
}

/// What is posted is one request, and says what is so.
fn told(config: &CallbackConfig, event: &Told<'_>, client: &Client<'_>, is_form: bool) {
    let posted = request(config, event, client).expect("a URL for each event");
    let now = Instant::now();
    let limits = HttpLimits { body_bytes: 1 << 20, ..HttpLimits::default() };
    let mut session = HttpSession::new(now, Arc::new(limits));
    session.handle_input(now, &posted.bytes).expect("a request");
    let Some(Event::Request(read)) = session.poll_event() else { panic!("{posted:?}") };
    assert!(session.poll_event().is_none(), "{posted:?}");
    assert_eq!(read.method, Method::Post);
    let body = std::str::from_utf8(&read.body).expect("text");
    if is_form { is_ours(body, event, client) } else { is_whole(body, event, client) }
}

/// Every text of the client is in the object, as it was.
fn is_whole(body: &str, event: &Told<'_>, client: &Client<'_>) {
    let object: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let said = [("event", event.name()), ("ip", "192.0.2.1"), ("app", client.app), ("stream", client.stream)];
    let more = [("query", client.query), ("vhost", client.vhost), ("page_url", client.page_url)];
    for (name, text) in said.into_iter().chain(more) {
        assert_eq!(object[name], text, "{body}");
    }
}

/// Each name of ours stands in a form once, with our value, however laxly it is read.
fn is_ours(body: &str, event: &Told<'_>, client: &Client<'_>) {
    assert!(body.bytes().all(|byte| byte.is_ascii_graphic()), "{body:?}");
    let decoded = |text: &str| String::from_utf8_lossy(&percent_decode(&text.replace('+', " "))).into_owned();
    let pairs = body.split(['&', ';']).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pairs: Vec<(String, String)> = pairs.map(|(name, value)| (decoded(name), decoded(value))).collect();
    for name in OURS {
        let found: Vec<&str> = pairs
            .iter()
            .filter(|(other, _)| other.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        let expected = match name {
            "name" if *event == Told::Connect => None,
            "name" => Some(client.stream),
            "app" => Some(client.app),
            "addr" => Some("192.0.2.1"),
            "clientid" => Some("7"),
            "tcurl" => Some(client.tc_url),
            "flashver" => Some(client.flash_ver),
            "swfurl" => Some(client.swf_url),
            "pageurl" => Some(client.page_url),
            _ => {
                assert_eq!(found.len(), 1, "{name}: {body}");
                continue;
            }
        };
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{name}: {body}");
    }
}

/// Bytes of a program that was asked.
fn answered(bytes: &[u8], how: u8, config: &CallbackConfig) {
    let mut reader = ResponseReader::new(ResponseLimits { head_bytes: 8192, headers: 64, body_bytes: 8192 });
    let mut response = None;
    for piece in pieces(bytes, how) {
        match reader.handle_input(piece) {
            Ok(None) => {}
            Ok(Some(whole)) => {
                response = Some(whole);
                break;
            }
            Err(_) => return,
        }
    }
    let Some(response) = response.or_else(|| reader.handle_end().ok()) else { return };
    let location = response.fields.get("location").map(str::to_owned);
    let outcome = Outcome::Answer { status: response.status, location: location.clone() };
    let _ = outcome.step(1, config);
    match Verdict::of(response.status, location.as_deref()) {
        Verdict::Allow => assert!((200..300).contains(&response.status)),
        Verdict::Refuse => {}
        Verdict::Rename(name) => {
            assert!((300..400).contains(&response.status));
            assert!(!name.is_empty() && name.len() <= 255 && name != "." && name != "..", "{name:?}");
            assert!(!name.contains(|c: char| c.is_control() || "/\\?".contains(c)), "{name:?}");
        }
    }
}

/// However answers come, each question gets one verdict, unless it is cancelled.
fn waits(steps: &[u8], config: &CallbackConfig, client: &Client<'_>) {
    let posted = request(config, &Told::Publish, client).expect("a request");
    let mut now = Instant::now();
    let mut outbox = Outbox::new();
    let mut under_way = Vec::new();
    let mut open = BTreeSet::new();
    for step in steps.iter().take(64) {
        match step % 6 {
            0 | 1 => match outbox.push(config, (), posted.clone()) {
                Ok(number) => assert!(open.insert(number), "a number that was used before"),
                Err(_) => assert!(outbox.len() >= WAITING),
            },
            2 => under_way.extend(outbox.poll(now)),
            3 if !under_way.is_empty() => {
                let post = under_way.swap_remove(usize::from(step / 6) % under_way.len());
                let status = if step & 0x80 == 0 { 200 } else { 500 };
                let number = post.number;
                let outcome = Outcome::Answer { status, location: None };
                if outbox.finish(now, config, post, &outcome).is_some() {
                    assert!(open.remove(&number), "a second verdict");
                }
            }
            4 => now += Duration::from_millis(u64::from(*step) * 20),
            _ => {
                let waiting =
                    open.iter().copied().filter(|number| !under_way.iter().any(|post| post.number == *number));
                let waiting: Vec<u64> = waiting.collect();
                if let Some(&number) = waiting.get(usize::from(step / 6) % waiting.len().max(1)) {
                    outbox.cancel(number);
                    open.remove(&number);
                }
            }
        }
        assert!(outbox.len() <= WAITING + 16);
        assert_eq!(open.len(), outbox.len() + under_way.len());
    }
}
