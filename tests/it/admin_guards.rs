//! What a server may send without end, and that the client ends it: in time, and in memory.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use keyward_admin::{Client, ErrorKind};
use keyward_testkit::{Canary, Fault, FaultAction};

use crate::fixture::{Organization, admin_key};

const USERS: &str = "/organization/users";

/// No test here waits for longer, however busy the machine is.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_cursor_that_comes_again_and_pages_without_end() {
    let org = Organization::start().await;
    let client = org.client();
    org.fake.fault(Fault::on("GET", USERS).always().then(FaultAction::EndlessPages));
    let error = client.users().list().max_pages(50).all().await.expect_err("no end");
    assert_eq!(error.kind(), ErrorKind::Paging, "{error}");
    assert!(error.to_string().contains("more than 50 pages"), "{error}");
    assert_eq!(org.fake.count("GET", USERS), 50);

    let before = org.fake.count("GET", USERS);
    let error = client.users().list().max_bytes(5_000).all().await.expect_err("no end");
    assert_eq!(error.kind(), ErrorKind::Paging, "{error}");
    assert!(error.to_string().contains("more than 5000 bytes"), "{error}");
    assert!((2..50).contains(&(org.fake.count("GET", USERS) - before)));
}

#[tokio::test]
async fn a_deep_answer_is_passed_over_or_an_error() {
    let org = Organization::start().await;
    let client = org.client();
    for depth in [100, 200, 500_000] {
        org.fails("GET", USERS, FaultAction::DeepJson { depth });
        assert_eq!(client.users().list().all().await.expect("a listing").len(), 1, "{depth}");
        org.fails("GET", "/organization/projects/{project_id}", FaultAction::DeepJson { depth });
        client.project(&org.project).get().await.expect("a project");
    }
    // Where the caller's own type would go down with it, it is an error.
    org.fails("GET", USERS, FaultAction::DeepJson { depth: 500_000 });
    let answer = client.raw(keyward_admin::Method::Get, USERS).send().await.expect("an answer");
    let error = answer.json::<serde_json::Value>().expect_err("too deep");
    assert_eq!(error.kind(), ErrorKind::Drift, "{error}");
}

#[tokio::test]
async fn what_says_that_it_is_packed_is_not_unpacked_and_not_believed() {
    let org = Organization::start().await;
    let client = org.client();
    for encoding in ["gzip", "br", "zstd", "deflate", "GZIP", "identity, gzip", "x"] {
        let encoding = encoding.to_owned();
        org.fails("GET", USERS, FaultAction::Mislabelled { encoding: encoding.clone() });
        let error = client.users().list().all().await.expect_err("packed");
        assert_eq!(error.kind(), ErrorKind::Drift, "{encoding}: {error}");
        assert!(error.to_string().contains("packed"), "{error}");
        assert!(error.request_id().is_some());
    }
    let encoding = "identity".to_owned();
    org.fails("GET", USERS, FaultAction::Mislabelled { encoding });
    client.users().list().all().await.expect("it is not packed");
    // A creation whose answer cannot be read has been done.
    let encoding = "gzip".to_owned();
    org.fails("POST", "/organization/projects", FaultAction::Mislabelled { encoding });
    let error = client.projects().create(keyward_admin::NewProject::new("made")).await;
    assert!(error.expect_err("unreadable").is_outcome_unknown());
}

/// A server that answers each request with `head` and then `rest` over and over, with a wait
/// before each.
fn server(head: Vec<u8>, rest: Vec<u8>, wait: Duration) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let serve = move |mut stream: TcpStream| {
        let mut request = [0; 4096];
        let mut sent = stream.read(&mut request).and_then(|_| stream.write_all(&head));
        while sent.is_ok() {
            std::thread::sleep(wait);
            // It ends when the client goes.
            sent = stream.write_all(&rest);
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    format!("http://{address}/v1")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

fn client_of(url: String) -> keyward_admin::ClientBuilder {
    let text = Canary::of_kind("admin").text().to_owned();
    Client::builder(admin_key(text)).base_url(url).allow_loopback()
}

#[tokio::test]
async fn a_drip_without_end_ends_at_the_time_out() {
    let drip = Duration::from_millis(20);
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    let told = format!("{OK}Content-Length: 1000000\r\n\r\n");
    for (head, rest) in [
        // In the body, in the headers, and before the first byte of an answer.
        (chunked.as_str(), "1\r\n \r\n"),
        (told.as_str(), " "),
        (OK, "X-Drip: a\r\n"),
        ("", ""),
    ] {
        let url = server(head.as_bytes().to_vec(), rest.as_bytes().to_vec(), drip);
        let start = Instant::now();
        let client = client_of(url.clone())
            .timeout(Duration::from_millis(300))
            .deadline(Duration::from_secs(2))
            .build()
            .expect("a client");
        let error = client.users().list().all().await.expect_err("no end");
        // Headers without end are also too many at some time.
        let kinds = [ErrorKind::Timeout, ErrorKind::Transport];
        assert!(kinds.contains(&error.kind()), "{head:?}: {error}");
        assert!(!error.nothing_was_sent());
        let new = keyward_admin::NewProject::new("made");
        let error = client.projects().create(new).await.expect_err("no end");
        assert!(error.is_outcome_unknown(), "{head:?}: {error}");
        assert!(start.elapsed() < SOON, "{head:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_has_sent_nothing_and_one_that_breaks_may_have() {
    // A port that was free a moment ago.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}/v1", free.local_addr().expect("an address"));
    drop(free);
    let client = client_of(url).max_attempts(1).build().expect("a client");
    let error = client.users().list().all().await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(error.nothing_was_sent());
    assert!(error.to_string().contains("nothing was sent"), "{error}");
    let error = client.projects().create(keyward_admin::NewProject::new("made")).await;
    let error = error.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Connection, "nothing to be unsure of: {error}");
    assert!(error.nothing_was_sent());

    // What was sent once stays sent, whatever comes after it: the server goes away between the
    // first attempt and the second.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        drop(listener);
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    });
    let client = client_of(url).max_attempts(2).build().expect("a client");
    let error = client.user("user-a").delete().await.expect_err("it went away");
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(
        !error.nothing_was_sent() && !error.to_string().contains("nothing was sent"),
        "{error}"
    );
}

const GIB: u64 = 1 << 30;

/// What a client may need for an answer that it does not accept: its own limit of 32 MiB, as much
/// again while that grows, and what the rest of the process does.
const MOST_MIB: u64 = 96;

/// Measured in a process of its own: others would count too.
#[test]
#[allow(clippy::print_stdout, reason = "the figures, and that it was skipped")]
fn a_gibibyte_is_not_held() {
    if peak_mib().is_none() {
        println!(
            "skipped: there is no /proc/self/status to read the peak memory from; run on Linux"
        );
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "--nocapture", "admin_guards::gibibytes"])
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let figures: Vec<_> = said.lines().filter(|line| line.contains("MiB")).collect();
    assert_eq!(figures.len(), 8, "{said}");
    println!("{}", figures.join("\n"));
}

/// The child of [`a_gibibyte_is_not_held`].
#[tokio::test]
#[ignore = "run by a_gibibyte_is_not_held in a process of its own"]
#[allow(clippy::print_stdout, reason = "figures for the parent")]
async fn gibibytes() {
    let bomb: &[u8] = include_bytes!("data/a-mebibyte-of-spaces.gz");
    let chunk = vec![b' '; 1 << 16];
    let chunked = [format!("{:x}\r\n", chunk.len()).into_bytes(), chunk.clone(), b"\r\n".to_vec()];
    let packed =
        format!("{OK}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len() * 1024);
    let fails = |kind| move |error: keyward_admin::Error| assert_eq!(error.kind(), kind, "{error}");

    let org = Organization::start().await;
    let client = org.client();
    client.users().list().all().await.expect("a listing");
    let before = peak_mib().expect("a peak");
    let report = |what: &str, start: Instant| {
        let grown = peak_mib().expect("a peak") - before;
        println!("{what}: {grown} MiB more at the peak, {} ms", start.elapsed().as_millis());
        assert!(grown <= MOST_MIB, "{what}: {grown} MiB");
        assert!(start.elapsed() < SOON, "{what}");
    };

    let start = Instant::now();
    org.fails("GET", USERS, FaultAction::HugePage { bytes: GIB });
    client.users().list().all().await.map(drop).map_err(fails(ErrorKind::TooLarge)).unwrap_err();
    report("a page of 1 GiB that does not say so", start);

    let start = Instant::now();
    let url =
        server(format!("{OK}Content-Length: {GIB}\r\n\r\n").into_bytes(), chunk, Duration::ZERO);
    let other = client_of(url).build().expect("a client");
    other.users().list().all().await.map(drop).map_err(fails(ErrorKind::TooLarge)).unwrap_err();
    report("a page of 1 GiB that says so", start);

    let start = Instant::now();
    let head = format!("{OK}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    let other =
        client_of(server(head, chunked.concat(), Duration::ZERO)).build().expect("a client");
    let new = keyward_admin::NewProject::new("made");
    let made = other.projects().create(new).await;
    made.map(drop).map_err(fails(ErrorKind::OutcomeUnknown)).unwrap_err();
    report("an answer without end to a creation", start);

    let start = Instant::now();
    let head = [packed.into_bytes(), bomb.repeat(1024)].concat();
    let other = client_of(server(head, b" ".to_vec(), SOON)).build().expect("a client");
    other.users().list().all().await.map(drop).map_err(fails(ErrorKind::Drift)).unwrap_err();
    report("a MiB that unpacks to 1 GiB", start);

    // Pages that are not too long, and have millions of things in them.
    for (what, item) in [
        ("a page of numbers", "0,"),
        ("a page of lists", "[],"),
        ("a page of the smallest users", r#"{"id":"u"},"#),
    ] {
        let start = Instant::now();
        let other = client_of(page_server(r#"{"data":["#, item, "0]}")).build().expect("a client");
        let listed = other.users().list().all().await;
        listed.map(drop).map_err(fails(ErrorKind::TooLarge)).unwrap_err();
        report(what, start);
    }

    let start = Instant::now();
    let url = page_server(
        r#"{"data":[{"id":"a","#,
        r#""b":0,"#,
        r#""type":"c","c":[7]}],"has_more":false}"#,
    );
    let other = client_of(url).build().expect("a client");
    let events = other.audit_logs().list(&keyward_admin::AuditLogQuery::new()).all().await;
    let events = events.expect("an event with much beside it");
    assert_eq!(events[0].payload.as_ref().expect("its payload").json(), "[7]");
    report("an event of millions of fields", start);
}

/// A server that answers each request with a page of almost 32 MiB, most of it the same thing over
/// and over. It never has it in one piece.
fn page_server(start: &'static str, repeated: &str, end: &'static str) -> String {
    const PIECES: usize = 500;
    let piece = repeated.repeat((1 << 16) / repeated.len());
    let len = start.len() + PIECES * piece.len() + end.len();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let head = format!("{OK}Content-Length: {len}\r\n\r\n{start}");
            let mut sent =
                stream.read(&mut request).and_then(|_| stream.write_all(head.as_bytes()));
            for _ in 0..PIECES {
                sent = sent.and_then(|()| stream.write_all(piece.as_bytes()));
            }
            // A client that goes away is no failure of the server.
            let _ = sent.and_then(|()| stream.write_all(end.as_bytes()));
        }
    });
    format!("http://{address}/v1")
}

/// The most memory that this process had, in MiB.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024)
}
