//! The caches that the cloud SDKs keep credentials in, each filled once and then read.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::{
    ResolveCachedIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::config_bag::ConfigBag;
use tokio::runtime::Runtime;

use super::{BATCH, Contender, allocations};

/// What the SDK asks for each request.
#[derive(Clone)]
struct Aws {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
}

impl Aws {
    async fn read(&self, bag: &ConfigBag) {
        let identity = self
            .cache
            .resolve_cached_identity(self.resolver.clone(), &self.components, bag)
            .await
            .expect("an identity");
        black_box(identity.data::<Credentials>().expect("credentials").access_key_id());
    }
}

pub(super) fn aws(runtime: &Runtime) -> Contender {
    // Made here: no real one, and none that expires.
    let credentials = Credentials::new("id", "secret", None, None, "bench");
    let aws = Aws {
        cache: SharedIdentityCache::new(IdentityCache::lazy().build()),
        resolver: SharedIdentityResolver::new(SharedCredentialsProvider::new(credentials)),
        components: RuntimeComponentsBuilder::for_tests()
            .with_sleep_impl(Some(TokioSleep::new()))
            .with_time_source(Some(SystemTimeSource::new()))
            .build()
            .expect("components"),
    };
    let bag = ConfigBag::base();
    let counted = allocations(|| runtime.block_on(aws.read(&bag)));
    Contender::new("aws IdentityCache", counted, move || {
        let aws = aws.clone();
        async move {
            let bag = ConfigBag::base();
            for _ in 0..BATCH {
                aws.read(&bag).await;
            }
            aws
        }
    })
}

pub(super) fn google(runtime: &Runtime) -> Contender {
    let credentials = {
        let _within = runtime.enter();
        google_cloud_auth::credentials::mds::Builder::default()
            .with_endpoint(metadata_server())
            .build()
            .expect("credentials")
    };
    let read = || {
        let credentials = credentials.clone();
        async move {
            let headers = credentials.headers(http::Extensions::new()).await;
            black_box(headers.expect("headers"));
        }
    };
    let counted = allocations(|| runtime.block_on(read()));
    Contender::new("google-cloud-auth", counted, move || {
        let credentials = credentials.clone();
        async move {
            for _ in 0..BATCH {
                let headers = credentials.headers(http::Extensions::new()).await;
                black_box(headers.expect("headers"));
            }
            credentials
        }
    })
}

/// Answers with a token, whatever it is asked, until the process ends.
fn metadata_server() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let body = r#"{"access_token": "t", "expires_in": 36000, "token_type": "Bearer"}"#;
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
            let len = body.len();
            let _ = write!(stream, "{head}\r\ncontent-length: {len}\r\n\r\n{body}");
        }
    });
    url
}
