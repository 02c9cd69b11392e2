//! The promise: listing costs little of a processor, and keeping what was listed little memory. The
//! peer is async-openai, the floor a raw socket with a decoder that borrows all from the page.
//!
//! Goals: (a) processor time at most 0.7 of async-openai's; (b) at most 1,400 bytes kept for an
//! audit event; (c) the peak of memory while 100,000 stream by is that of 10,000.
//!
//! The server is this program once more, in a process of its own, so that the processor time of
//! this one is the client's alone. The least of several rounds counts, for other programs only add
//! to it. Each allocation is counted, on all sides alike.

#![allow(clippy::print_stdout, reason = "a report")]

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_openai::config::OpenAIConfig;
use async_openai::traits::RequestOptionsBuilder as _;
use async_openai::types::admin::audit_logs::{AuditLog, ListAuditLogsQuery, ListAuditLogsResponse};
use async_openai::types::admin::users::{ListUsersQuery, User};
use futures_util::{Stream, StreamExt as _};
use keyward_admin::{AuditEvent, AuditLogQuery, Client};
use keyward_core::{AdmitContext, ApiKey, KeyPolicy, Timestamp};
use keyward_testkit::keys::{self, KeyRng};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use tokio::runtime::Runtime;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const PAGE: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--serve") {
        return serve(args.next().ok_or("how many items?")?.parse()?);
    }
    let short = !std::env::args().any(|arg| arg == "--bench")
        || std::env::args().any(|arg| arg == "--test");
    let (items, rounds) = if short { (1_000, 1) } else { (100_000, 7) };
    let server = Server::start(items)?;
    let bench = Bench { items, rounds, keyward: keyward(&server)?, server, runtime: runtime()? };
    bench.processor_time()?;
    bench.decoding()?;
    bench.memory()
}

struct Bench {
    items: usize,
    rounds: usize,
    server: Server,
    runtime: Runtime,
    keyward: Client,
}

impl Bench {
    fn processor_time(&self) -> Result<(), Box<dyn Error>> {
        println!("processor seconds for a million listed items, {PAGE} on a page");
        let peer = self.peer();
        let query = AuditLogQuery::new();
        let events = self.least([
            &|| self.stream(self.keyward.audit_logs().list(&query)),
            &|| self.runtime.block_on(peer.audit_logs(drop)),
            &|| floor(self.server.address, "audit_logs", |body| borrowed::<FloorEvent<'_>>(body)),
        ])?;
        self.print("audit events", events);
        let users = self.least([
            &|| self.stream(self.keyward.users().list()),
            &|| self.runtime.block_on(peer.users(drop)),
            &|| floor(self.server.address, "users", |body| borrowed::<FloorUser<'_>>(body)),
        ])?;
        self.print("users", users);
        Ok(())
    }

    /// What each costs for a million items, at the least.
    fn least<const N: usize>(
        &self,
        clients: [&dyn Fn() -> Result<usize, Box<dyn Error>>; N],
    ) -> Result<[f64; N], Box<dyn Error>> {
        let mut least = [f64::INFINITY; N];
        for _ in 0..=self.rounds {
            for (client, least) in clients.iter().zip(&mut least) {
                let before = processor_time();
                let listed = client()?;
                let took = (processor_time() - before).as_secs_f64();
                assert_eq!(listed, self.items, "a listing is not whole");
                *least = least.min(took * 1e6 / listed as f64);
            }
        }
        Ok(least)
    }

    fn print(&self, what: &str, [ours, peers, floor]: [f64; 3]) {
        println!(
            "  {what}, keyward       {ours:>7.2}  {:.2} of async-openai's (goal 0.70)",
            ours / peers
        );
        println!("  {what}, async-openai  {peers:>7.2}");
        println!("  {what}, the floor     {floor:>7.2}  {:.2} of async-openai's", floor / peers);
    }

    /// A page that is in memory already.
    fn decoding(&self) -> Result<(), Box<dyn Error>> {
        #[derive(Deserialize)]
        struct Page<T> {
            data: Vec<T>,
        }

        let mut rng = KeyRng::seeded(7);
        let events: Vec<_> = (0..PAGE).map(|n| event(n, &mut rng)).collect();
        let (body, _) = page(&events, true);
        let times = self.items / PAGE;
        let repeat = |decode: &dyn Fn() -> serde_json::Result<usize>| {
            (0..times).map(|_| Ok(decode()?)).sum::<Result<usize, Box<dyn Error>>>()
        };
        let [ours, peers, floor] = self.least([
            &|| {
                repeat(&|| {
                    Ok(black_box(serde_json::from_str::<Page<AuditEvent>>(&body)?).data.len())
                })
            },
            &|| {
                repeat(&|| {
                    Ok(black_box(serde_json::from_str::<ListAuditLogsResponse>(&body)?).data.len())
                })
            },
            &|| {
                repeat(&|| {
                    Ok(black_box(serde_json::from_str::<Page<FloorEvent<'_>>>(&body)?).data.len())
                })
            },
        ])?;
        println!("audit events decoded a second, {} bytes each", body.len() / PAGE);
        println!("  keyward       {:>9.0}", 1e6 / ours);
        println!("  async-openai  {:>9.0}", 1e6 / peers);
        println!("  the floor     {:>9.0}", 1e6 / floor);
        Ok(())
    }

    fn memory(&self) -> Result<(), Box<dyn Error>> {
        let query = AuditLogQuery::new();
        let before = MEMORY.current_usage();
        let ours = self.runtime.block_on(self.keyward.audit_logs().list(&query).all())?;
        let our_bytes = (MEMORY.current_usage() - before) / ours.len();
        drop(ours);
        let before = MEMORY.current_usage();
        let mut peers: Vec<AuditLog> = Vec::new();
        let peer = self.peer();
        self.runtime.block_on(peer.audit_logs(|page| peers.extend(page)))?;
        let peer_bytes = (MEMORY.current_usage() - before) / peers.len();
        drop(peers);
        println!("bytes kept for an audit event");
        println!("  keyward       {our_bytes:>7}  (goal 1,400)");
        println!("  async-openai  {peer_bytes:>7}");

        println!("peak of memory while they stream by, in KiB");
        for items in [self.items / 10, self.items] {
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            let listed = self.runtime.block_on(async {
                let mut events = self.keyward.audit_logs().list(&query);
                for _ in 0..items {
                    black_box(events.next().await.ok_or("too few")??);
                }
                Ok::<_, Box<dyn Error>>(items)
            })?;
            let peak = (MEMORY.peak_usage() - before) / 1024;
            println!("  keyward, {listed:>7} events  {peak:>7}");
        }
        Ok(())
    }

    fn stream<T>(
        &self,
        items: impl Stream<Item = Result<T, keyward_admin::Error>>,
    ) -> Result<usize, Box<dyn Error>> {
        self.runtime.block_on(async {
            let mut items = pin!(items);
            let mut n = 0;
            while let Some(item) = items.next().await {
                black_box(item?);
                n += 1;
            }
            Ok(n)
        })
    }

    fn peer(&self) -> Peer {
        let key = keys::admin_key(&mut KeyRng::seeded(1));
        let base_url = format!("http://{}/v1", self.server.address);
        let config = OpenAIConfig::new().with_api_key(key).with_api_base(base_url);
        Peer(async_openai::Client::with_config(config))
    }
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// What the threads of this process have taken of the processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn keyward(server: &Server) -> Result<Client, Box<dyn Error>> {
    let key = ApiKey::parse(keys::admin_key(&mut KeyRng::seeded(1)))?;
    let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
    let key = KeyPolicy::admin().admit(&key, &now)?.into_admin_key()?;
    let base_url = format!("http://{}/v1", server.address);
    Ok(Client::builder(key).base_url(&base_url).allow_loopback().build()?)
}

/// async-openai, with the loop over pages that it leaves to its callers.
struct Peer(async_openai::Client<OpenAIConfig>);

impl Peer {
    async fn audit_logs(
        &self,
        mut page: impl FnMut(Vec<AuditLog>),
    ) -> Result<usize, Box<dyn Error>> {
        let mut query = ListAuditLogsQuery { limit: Some(100), ..Default::default() };
        let mut n = 0;
        loop {
            let answer = self.0.admin().audit_logs().query(&query)?.get().await?;
            n += answer.data.len();
            page(answer.data);
            if !answer.has_more {
                return Ok(n);
            }
            query.after = answer.last_id;
        }
    }

    async fn users(&self, mut page: impl FnMut(Vec<User>)) -> Result<usize, Box<dyn Error>> {
        let mut query = ListUsersQuery { limit: Some(100), ..Default::default() };
        let mut n = 0;
        loop {
            let answer = self.0.admin().users().query(&query)?.list().await?;
            n += answer.data.len();
            page(answer.data);
            if !answer.has_more {
                return Ok(n);
            }
            query.after = answer.last_id;
        }
    }
}

/// Lists over a socket, and has each page decoded: how many there are on it and which cursor is next.
fn floor(
    address: SocketAddr,
    path: &str,
    decode: impl Fn(&[u8]) -> serde_json::Result<(usize, Option<String>)>,
) -> Result<usize, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answer = vec![0; 1 << 20];
    let (mut n, mut after) = (0, String::new());
    loop {
        let cursor = if after.is_empty() { after } else { format!("&after={after}") };
        let request = format!(
            "GET /v1/organization/{path}?limit={PAGE}{cursor} HTTP/1.1\r\nHost: {address}\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut filled = 0;
        let body = loop {
            let read = stream.read(&mut answer[filled..])?;
            filled += read;
            if let Some(body) = whole(&answer[..filled])? {
                break body;
            }
            if read == 0 {
                return Err("the answer breaks off or is too long".into());
            }
        };
        let (listed, next) = decode(body)?;
        n += listed;
        match next {
            Some(next) => after = next,
            None => return Ok(n),
        }
    }
}

/// The body of an answer, when all of it has come.
fn whole(answer: &[u8]) -> Result<Option<&[u8]>, Box<dyn Error>> {
    const LENGTH: &str = "content-length: ";

    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    let length = head.lines().find_map(|line| line.strip_prefix(LENGTH)).ok_or("no length")?;
    Ok(answer[end + 4..].get(..length.parse()?))
}

fn borrowed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> serde_json::Result<(usize, Option<String>)> {
    let page: FloorPage<'a, T> = serde_json::from_slice(body)?;
    let next = page.has_more.then(|| page.last_id.to_owned());
    Ok((black_box(page.data).len(), next))
}

#[derive(Deserialize)]
struct FloorPage<'a, T> {
    data: Vec<T>,
    has_more: bool,
    last_id: &'a str,
}

/// What keyward reads of an event, but for the payload, which is passed over.
#[derive(Deserialize)]
#[allow(dead_code, reason = "read for what reading it costs")]
struct FloorEvent<'a> {
    id: &'a str,
    r#type: &'a str,
    effective_at: i64,
    #[serde(borrow)]
    project: Option<FloorThing<'a>>,
    #[serde(borrow)]
    actor: FloorActor<'a>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "read for what reading it costs")]
struct FloorActor<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    session: Option<FloorSession<'a>>,
    #[serde(borrow)]
    api_key: Option<FloorKey<'a>>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "read for what reading it costs")]
struct FloorSession<'a> {
    #[serde(borrow)]
    user: FloorThing<'a>,
    ip_address: &'a str,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "read for what reading it costs")]
struct FloorKey<'a> {
    id: &'a str,
    r#type: &'a str,
    #[serde(borrow)]
    user: Option<FloorThing<'a>>,
    #[serde(borrow)]
    service_account: Option<FloorThing<'a>>,
}

/// A project, a user or a service account.
#[derive(Deserialize)]
#[allow(dead_code, reason = "read for what reading it costs")]
struct FloorThing<'a> {
    id: &'a str,
    name: Option<&'a str>,
    email: Option<&'a str>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "read for what reading it costs")]
struct FloorUser<'a> {
    id: &'a str,
    name: &'a str,
    email: &'a str,
    role: &'a str,
    added_at: i64,
}

/// The server, which ends when this is dropped.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(items: usize) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--serve", &items.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self { address: line.trim().parse()?, process })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends with this process, and the server with its input: nothing is left behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves listings of so many items, made beforehand, until the input ends.
fn serve(items_in_all: usize) -> Result<(), Box<dyn Error>> {
    let mut answers = HashMap::new();
    let mut rng = KeyRng::seeded(7);
    for (path, item) in [("audit_logs", event as fn(usize, &mut KeyRng) -> Item), ("users", user)] {
        let mut cursor = String::new();
        for from in (0..items_in_all).step_by(PAGE) {
            let to = items_in_all.min(from + PAGE);
            let items: Vec<_> = (from..to).map(|n| item(n, &mut rng)).collect();
            let (body, last_id) = page(&items, to < items_in_all);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            answers.insert(format!("{path}?{cursor}"), answer);
            cursor = last_id;
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // It ends when whoever started this does.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::abort();
        });
        for stream in listener.incoming() {
            let (stream, answers) = (stream?, &answers);
            scope.spawn(move || answer_all(stream, answers));
        }
        Ok(())
    })
}

fn answer_all(mut stream: TcpStream, answers: &HashMap<String, String>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let url = line.split(' ').nth(1).unwrap_or_default().to_owned();
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line)?;
        }
        line.clear();
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let path = path.rsplit('/').next().unwrap_or_default();
        let after = query.split('&').find_map(|pair| pair.strip_prefix("after=")).unwrap_or("");
        let answer = answers.get(&format!("{path}?{after}"));
        let none = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.map_or(none, String::as_str).as_bytes())?;
    }
    Ok(())
}

/// A page of items, and the cursor to the next one.
fn page(items: &[Item], has_more: bool) -> (String, String) {
    let id = |item: Option<&Item>| item.map_or_else(String::new, |item| item.id.clone());
    let (first, last) = (id(items.first()), id(items.last()));
    let data: Vec<_> = items.iter().map(|item| item.json.as_str()).collect();
    let data = data.join(",");
    let page = format!(
        r#"{{"object":"list","data":[{data}],"first_id":"{first}","last_id":"{last}","has_more":{has_more}}}"#
    );
    (page, last)
}

/// A listed thing, with its fields in the order of the reference.
struct Item {
    id: String,
    json: String,
}

/// An event of one of the commoner types.
fn event(n: usize, rng: &mut KeyRng) -> Item {
    let id = |rng: &mut KeyRng, prefix: &str| format!("{prefix}{}", random(rng, 24));
    let user =
        format!(r#"{{"id":"{}","email":"{}@example.com"}}"#, id(rng, "user-"), random(rng, 9));
    let actor = match rng.below(10) {
        0..6 => format!(
            r#"{{"type":"session","session":{{"user":{user},"ip_address":"192.0.2.{}"}}}}"#,
            rng.below(256)
        ),
        6..9 => format!(
            r#"{{"type":"api_key","api_key":{{"id":"{}","type":"service_account","service_account":{{"id":"{}"}}}}}}"#,
            id(rng, "key_"),
            id(rng, "user-")
        ),
        _ => format!(
            r#"{{"type":"api_key","api_key":{{"id":"{}","type":"user","user":{user}}}}}"#,
            id(rng, "key_")
        ),
    };
    let (event_type, payload) = PAYLOADS[rng.below(PAYLOADS.len())];
    let payload = match payload {
        "" => String::new(),
        fields => format!(r#","{event_type}":{{{}}}"#, fields.replace("ID", &id(rng, "key_"))),
    };
    let project = match rng.below(10) {
        0..7 => {
            let id = id(rng, "proj_");
            format!(r#""project":{{"id":"{id}","name":"Customer support assistant"}},"#)
        }
        _ => String::new(),
    };
    let id = format!("audit_log-{}{n:08}", random(rng, 16));
    let at = 1_790_000_000 - n;
    let json = format!(
        r#"{{"object":"organization.audit_log","id":"{id}","type":"{event_type}","effective_at":{at},{project}"actor":{actor}{payload}}}"#
    );
    Item { id, json }
}

/// Types as often as they come, with what they carry.
const PAYLOADS: [(&str, &str); 14] = [
    ("login.succeeded", ""),
    ("login.succeeded", ""),
    ("login.succeeded", ""),
    ("logout.succeeded", ""),
    ("api_key.created", SCOPES_GIVEN),
    ("api_key.created", SCOPES_GIVEN),
    ("api_key.updated", SCOPES_ASKED),
    ("api_key.deleted", r#""id":"ID""#),
    ("service_account.created", r#""id":"ID","data":{"role":"member"}"#),
    ("project.updated", r#""id":"ID","changes_requested":{"title":"A title"}"#),
    ("user.added", r#""id":"ID","data":{"role":"member"}"#),
    ("invite.sent", r#""id":"ID","data":{"email":"new@example.com","role":"member"}"#),
    ("rate_limit.updated", RATE_LIMIT),
    ("login.failed", LOGIN_FAILED),
];
const SCOPES_GIVEN: &str =
    r#""id":"ID","data":{"scopes":["api.model.request","api.files.read","api.responses.write"]}"#;
const SCOPES_ASKED: &str =
    r#""id":"ID","changes_requested":{"scopes":["api.model.request","api.files.read"]}"#;
const RATE_LIMIT: &str = r#""id":"ID","changes_requested":{"max_requests_per_1_minute":500,"max_tokens_per_1_minute":200000,"batch_1_day_max_input_tokens":3000000}"#;
const LOGIN_FAILED: &str =
    r#""error_code":"invalid_credentials","error_message":"It failed: \"wrong password\".""#;

fn user(n: usize, rng: &mut KeyRng) -> Item {
    let name = random(rng, 8);
    let id = format!("user-{}{n:08}", random(rng, 16));
    let role = if rng.below(10) == 0 { "owner" } else { "reader" };
    let at = 1_700_000_000 + n;
    let json = format!(
        r#"{{"object":"organization.user","id":"{id}","name":"{name} Example","email":"{name}@example.com","role":"{role}","added_at":{at}}}"#
    );
    Item { id, json }
}

/// Letters and digits, as in ids.
fn random(rng: &mut KeyRng, length: usize) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(letters[rng.below(letters.len())])).collect()
}
