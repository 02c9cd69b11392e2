//! A server on loopback that answers as it is told and keeps what it was asked: it speaks no more
//! of a protocol than what a test writes down.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use zeroize::Zeroizing;

/// What is answered to a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A status, header lines and a body.
    Status(u16, String, String),
    /// Nothing, and the connection stays open.
    Silence,
    /// A head that promises a body, and no more.
    HeadAlone,
    /// The connection is closed.
    Close,
}

impl Reply {
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        Self::Status(status, "content-type: application/json\r\n".into(), body.into())
    }

    pub(crate) fn token(token: &str, expires_in: u64) -> Self {
        Self::json(
            200,
            format!(
                r#"{{"access_token":"{token}","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":{expires_in}}}"#
            ),
        )
    }
}

pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<String>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Server {
    /// Answers so, in this order; the last for ever.
    pub(crate) fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        shared.replies.lock().unwrap().extend(replies);
        let of_thread = Arc::clone(&shared);
        // It ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&of_thread);
                thread::spawn(move || shared.serve(stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}/oauth/token", self.url())
    }

    /// The requests, head and body, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let Some(request) = read(&mut stream) else { return };
        self.asked.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
        let mut replies = self.replies.lock().unwrap();
        let reply = match replies.len() {
            0 | 1 => replies.front().cloned(),
            _ => replies.pop_front(),
        };
        drop(replies);
        let written = match reply {
            None | Some(Reply::Close) => Ok(()),
            Some(Reply::Status(status, headers, body)) => write!(
                stream,
                "HTTP/1.1 {status} As told\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            ),
            Some(Reply::HeadAlone) => {
                let head = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n");
                self.open.lock().unwrap().push(stream);
                head
            }
            Some(Reply::Silence) => {
                self.open.lock().unwrap().push(stream);
                Ok(())
            }
        };
        // Whoever asked may be gone.
        let _ = written;
    }
}

/// One request with its body, in one buffer that is wiped.
pub(crate) fn read(stream: &mut TcpStream) -> Option<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(vec![0; 64 * 1024]);
    let mut len = 0;
    loop {
        let got = stream.read(&mut buffer[len..]).ok().filter(|got| *got > 0)?;
        len += got;
        if !buffer[0].is_ascii_alphabetic() {
            // No HTTP, such as the begin of TLS.
            buffer.truncate(len);
            return Some(buffer);
        }
        let Some(head) = buffer[..len].windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let body = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let body = body.map_or(0, |len| len.parse().unwrap());
        if len >= head + 4 + body {
            buffer.truncate(len);
            return Some(buffer);
        }
    }
}
