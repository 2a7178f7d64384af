//! What is written about an event.
//!
//! Owns: the JSON object, and the form with nginx-rtmp's names. Does not know where it goes.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{Client, Event, Traffic};

/// One JSON object.
pub(super) fn json(event: &Event<'_>, client: &Client<'_>) -> String {
    let mut object = Map::new();
    let mut add = |name: &str, value: Value| {
        object.insert(name.to_owned(), value);
    };
    add("event", json!(event.name()));
    add("client_id", json!(client.id));
    add("ip", json!(client.peer.ip().to_canonical().to_string()));
    add("port", json!(client.peer.port()));
    let texts = [
        ("vhost", client.vhost),
        ("app", client.app),
        ("stream", client.stream),
        ("query", client.query),
        ("tc_url", client.tc_url),
        ("flash_ver", client.flash_ver),
        ("swf_url", client.swf_url),
        ("page_url", client.page_url),
    ];
    for (name, text) in texts {
        add(name, json!(text));
    }
    match event {
        Event::Connect | Event::Publish | Event::Play => {}
        Event::Unpublish(Traffic { duration_ms, bytes_in, bytes_out })
        | Event::Stop(Traffic { duration_ms, bytes_in, bytes_out }) => {
            add("duration_ms", json!(duration_ms));
            add("bytes_in", json!(bytes_in));
            add("bytes_out", json!(bytes_out));
        }
        Event::RecordDone { path, bytes, duration_ms } => {
            add("path", json!(path));
            add("bytes", json!(bytes));
            add("duration_ms", json!(duration_ms));
        }
    }
    Value::Object(object).to_string()
}

/// The form that nginx-rtmp posts, so that programs made for it go on working. The client's own query follows; what
/// has one of our names in it is left out, since many programs take the last value of a name, and a client could
/// say that it is another one.
pub(super) fn form(event: &Event<'_>, client: &Client<'_>) -> String {
    let ip = client.peer.ip().to_canonical().to_string();
    let mut fields = vec![
        ("app", client.app.to_owned()),
        ("flashver", client.flash_ver.to_owned()),
        ("swfurl", client.swf_url.to_owned()),
        ("tcurl", client.tc_url.to_owned()),
        ("pageurl", client.page_url.to_owned()),
        ("addr", ip),
        ("clientid", client.id.to_string()),
        ("call", call(event).to_owned()),
    ];
    if *event != Event::Connect {
        fields.push(("name", client.stream.to_owned()));
    }
    match event {
        Event::Publish => fields.push(("type", "live".to_owned())),
        // A live stream is asked for, from now on and without end (-2, -1), as numbers without a sign.
        Event::Play => {
            fields.push(("start", (u32::MAX - 1).to_string()));
            fields.push(("duration", u32::MAX.to_string()));
            fields.push(("reset", "0".to_owned()));
        }
        Event::RecordDone { path, .. } => {
            fields.push(("recorder", String::new()));
            fields.push(("path", (*path).to_owned()));
        }
        Event::Connect | Event::Unpublish(_) | Event::Stop(_) => {}
    }
    let own = fields.iter().map(|(name, value)| format!("{name}={}", percent_encode(value)));
    let theirs = client.query.split('&').filter(|pair| !pair.is_empty() && !is_ours(pair));
    own.chain(theirs.map(clean)).collect::<Vec<_>>().join("&")
}

/// The event as nginx-rtmp calls it.
fn call(event: &Event<'_>) -> &'static str {
    match event {
        Event::Unpublish(_) => "publish_done",
        Event::Stop(_) => "play_done",
        other => other.name(),
    }
}

/// Every name that a form can have from us, whatever the event.
const OUR_NAMES: [&str; 16] = [
    "app", "flashver", "swfurl", "tcurl", "pageurl", "addr", "clientid", "call", "name", "type", "start", "duration",
    "reset", "recorder", "path", "epoch",
];

/// Whether a program could read `pair` as something that we say: names are compared as laxly as they may be read.
fn is_ours(pair: &str) -> bool {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    let name = percent_decode(&name.replace('+', " "));
    let name = name.trim().split(['[', '\0']).next().unwrap_or_default().to_ascii_lowercase();
    // Some programs cut pairs at `;` as well.
    OUR_NAMES.contains(&name.as_str()) || pair.contains(';')
}

/// A pair of the client's query, with nothing in it that has no place in a form.
fn clean(pair: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_graphic();
    pair.bytes().fold(String::new(), |mut text, byte| {
        push(&mut text, byte, is_plain(&byte));
        text
    })
}

fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        push(&mut encoded, byte, is_plain);
        encoded
    })
}

fn push(text: &mut String, byte: u8, is_plain: bool) {
    if is_plain {
        text.push(char::from(byte));
    } else {
        // Writing to a text cannot fail.
        let _ = write!(text, "%{byte:02X}");
    }
}

/// Decodes once; what is no escape stays, and what is not UTF-8 is replaced.
pub(super) fn percent_decode(text: &str) -> String {
    String::from_utf8_lossy(&crate::wire::percent_decode(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(query: &'static str) -> Client<'static> {
        Client {
            id: 7,
            peer: "[::ffff:192.0.2.1]:5000".parse().unwrap(),
            vhost: "host",
            app: "live/inner",
            stream: "ca\"m é",
            query,
            tc_url: "rtmp://host/live/inner",
            flash_ver: "FMLE/3.0",
            swf_url: "",
            page_url: "http://p/?a&b",
        }
    }

    const TRAFFIC: Traffic = Traffic { duration_ms: 1, bytes_in: 2, bytes_out: 3 };
    const RECORD: Event<'_> = Event::RecordDone { path: "/rec/a b.flv", bytes: 5, duration_ms: 6 };
    const SESSION: &str = "app=live%2Finner&flashver=FMLE%2F3.0&swfurl=&tcurl=rtmp%3A%2F%2Fhost%2Flive%2Finner\
                           &pageurl=http%3A%2F%2Fp%2F%3Fa%26b&addr=192.0.2.1&clientid=7";

    #[test]
    fn a_form_says_what_nginx_rtmp_says() {
        let name = "name=ca%22m%20%C3%A9";
        let cases = [
            (Event::Connect, "&call=connect&key=a%20b&x".to_owned()),
            (Event::Publish, format!("&call=publish&{name}&type=live&key=a%20b&x")),
            (Event::Play, format!("&call=play&{name}&start=4294967294&duration=4294967295&reset=0&key=a%20b&x")),
            (Event::Unpublish(TRAFFIC), format!("&call=publish_done&{name}&key=a%20b&x")),
            (Event::Stop(TRAFFIC), format!("&call=play_done&{name}&key=a%20b&x")),
            (RECORD, format!("&call=record_done&{name}&recorder=&path=%2Frec%2Fa%20b.flv&key=a%20b&x")),
        ];
        for (event, expected) in cases {
            assert_eq!(form(&event, &client("key=a%20b&x")), format!("{SESSION}{expected}"));
        }
    }

    #[test]
    fn a_client_cannot_say_what_the_server_says() {
        let before = form(&Event::Publish, &client(""));
        for query in ["name=x", "%6eame=x", "NAME=x", "name[]=x", "+name=x", "a=1;name=x", "addr=1.1.1.1&app", "&&"] {
            assert_eq!(form(&Event::Publish, &client(query)), before, "{query}");
        }
        assert_eq!(form(&Event::Publish, &client("names=x y\u{e9}")), format!("{before}&names=x%20y%C3%A9"));
    }

    #[test]
    fn an_object_says_everything() {
        let read = |event: &Event<'_>| -> Value { serde_json::from_str(&json(event, &client("key=a%20b"))).unwrap() };
        let publish = read(&Event::Publish);
        let expected = json!({
            "event": "publish", "client_id": 7, "ip": "192.0.2.1", "port": 5000, "vhost": "host", "app": "live/inner",
            "stream": "ca\"m é", "query": "key=a%20b", "tc_url": "rtmp://host/live/inner", "flash_ver": "FMLE/3.0",
            "swf_url": "", "page_url": "http://p/?a&b",
        });
        assert_eq!(publish, expected);
        let stop = read(&Event::Stop(TRAFFIC));
        assert_eq!((&stop["event"], &stop["bytes_in"], &stop["bytes_out"]), (&json!("stop"), &json!(2), &json!(3)));
        let record = read(&RECORD);
        assert_eq!((&record["path"], &record["duration_ms"]), (&json!("/rec/a b.flv"), &json!(6)));
        assert_eq!(read(&Event::Unpublish(TRAFFIC))["event"], "unpublish");
    }
}
