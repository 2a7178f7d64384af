//! The operator's program over a real socket: a thread that answers posts, one after the other.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for a post. Only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What comes back for the post with this number (from 0) and text; `None`: nothing, and the connection stays open.
pub type Answer = Box<dyn FnMut(usize, &str) -> Option<String> + Send>;

pub struct Backend {
    pub address: SocketAddr,
    posts: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    pub fn start(mut answer: Answer) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let posts = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&posts);
        // Ends with the test program.
        thread::spawn(move || {
            let mut kept = Vec::new();
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                let text = read_post(&mut socket);
                let number = {
                    let mut posts: std::sync::MutexGuard<'_, Vec<String>> = theirs.lock().unwrap();
                    posts.push(text.clone());
                    posts.len() - 1
                };
                match answer(number, &text) {
                    // One that was given up may be gone already.
                    Some(answer) => drop(socket.write_all(answer.as_bytes())),
                    None => kept.push(socket),
                }
            }
        });
        Backend { address, posts }
    }

    /// All posts so far: heads and bodies.
    pub fn posts(&self) -> Vec<String> {
        self.posts.lock().unwrap().clone()
    }

    /// Waits until so many posts hold `text`.
    pub fn wait_for(&self, text: &str, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.posts().iter().filter(|post| post.contains(text)).count() < count {
            assert!(Instant::now() < deadline, "{text} was not posted {count} times: {:#?}", self.posts());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Reads a head and the body that it announces.
fn read_post(socket: &mut TcpStream) -> String {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    let mut scratch = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return text;
            }
        }
        match socket.read(&mut scratch) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&scratch[..count]),
            _ => return text,
        }
    }
}

/// An answer without a body.
pub fn status(status: u16) -> Option<String> {
    Some(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
}

/// An answer with another name.
pub fn rename(name: &str) -> Option<String> {
    Some(format!("HTTP/1.1 302 Found\r\nLocation: {name}\r\nContent-Length: 0\r\n\r\n"))
}
