//! A server that answers what a test tells it, and remembers the heads of what it was sent.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// It listens on loopback, and ends with the process.
pub(crate) struct Hostile {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Hostile {
    /// What is answered is made of the head of the request. After it, the connection is closed.
    pub(crate) fn start(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        Self::over(
            |stream| stream,
            answer,
            |stream| {
                let _ = stream.shutdown(Shutdown::Both);
            },
        )
    }

    /// The same over what is made of a connection, and ended in its own way.
    pub(crate) fn over<S: Read + Write>(
        make: impl Fn(TcpStream) -> S + Send + 'static,
        answer: impl Fn(&str) -> Vec<u8> + Send + 'static,
        end: impl Fn(&mut S) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = make(stream.expect("a connection"));
                let head = head(&mut stream);
                seen.lock().expect("a list").push(head.clone());
                // Whoever is gone by now has had enough.
                let _ = stream.write_all(&answer(&head));
                end(&mut stream);
            }
        });
        Self { address, heads }
    }

    /// One that answers each with a status, headers and a body.
    pub(crate) fn with(status: u16, headers: &str, body: &str) -> Self {
        let answer = answer(status, headers, body);
        Self::start(move |_| answer.clone())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("a list").clone()
    }
}

/// An answer with these headers, each with the line's end behind it.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    // Said, so that no client sends another request on what is about to be closed.
    let said = format!("connection: close\r\ncontent-length: {len}\r\n{headers}");
    format!("HTTP/1.1 {status} X\r\n{said}\r\n{body}").into_bytes()
}

/// The head of a request; its body is read too, so that closing does not reset.
fn head(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let len =
                head.to_ascii_lowercase().split_once("content-length: ").map_or(0, |(_, at)| {
                    at.lines().next().and_then(|len| len.parse().ok()).unwrap_or(0)
                });
            if body.len() >= len || text.starts_with("CONNECT") {
                return head.to_owned();
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return text,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
