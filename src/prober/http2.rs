//! What HTTP/2 needs beside HTTP/1: tasks that end with the probe, and requests without what only HTTP/1 has.
//!
//! The library runs a connection on tasks that it has spawned. Here they are ended when the probe is: a target that stops
//! reading keeps nothing of us.
//!
//! Never here: time limits, judgement.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::uri::Authority;
use http::{Request, Uri, Version};
use http_body_util::Full;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use url::{Position, Url};

use crate::target::Failure;

/// Octets of an answer's headers.
const MAX_HEADERS: u32 = 64 << 10;
/// Octets that a peer may send before we have looked at them.
const WINDOW: u32 = 64 << 10;

/// The tasks of one connection. They end when this goes.
#[derive(Default)]
pub(super) struct Tasks(Spawner);

/// Spawns tasks among those of a [`Tasks`].
#[derive(Clone, Default)]
pub(super) struct Spawner(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, task: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Tasks {
    /// Begins a connection over `stream`.
    pub(super) async fn handshake<S>(
        &self,
        stream: S,
    ) -> hyper::Result<(SendRequest<Full<Bytes>>, Connection<TokioIo<S>, Full<Bytes>, Spawner>)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new(self.0.clone());
        builder.max_header_list_size(MAX_HEADERS).initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
        builder.handshake(TokioIo::new(stream)).await
    }
}

/// `request` for `url` as HTTP/2 has it: the host as `:authority`, nothing about the connection.
pub(super) fn request(mut request: Request<Full<Bytes>>, url: &Url) -> Result<Request<Full<Bytes>>, Failure> {
    let cannot = |error: &dyn std::fmt::Display| Failure::Protocol(format!("cannot ask: {error}").into());
    let host = request.headers_mut().remove(HOST);
    request.headers_mut().remove(CONNECTION);
    let host = host.as_ref().map_or(&b""[..], |host| host.as_bytes());
    let uri = Uri::builder()
        .scheme(url.scheme())
        .authority(Authority::try_from(host).map_err(|error| cannot(&error))?)
        .path_and_query(&url[Position::BeforePath..Position::AfterQuery])
        .build();
    *request.uri_mut() = uri.map_err(|error| cannot(&error))?;
    *request.version_mut() = Version::HTTP_2;
    Ok(request)
}
