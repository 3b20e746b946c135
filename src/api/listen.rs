//! The API's listeners: the control socket and the TCP port.
//!
//! Bound first and served later, so that a start that cannot have its addresses fails before anything else happens. What
//! a client can do to a listener is bounded: connections at a time, and the time to send a request's head.
//!
//! Never here: what a request means.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::access::{Access, Config};
use super::ask::Node;
use super::routes::router;
use super::stream::Lasting;

/// The control socket is for its owner and group.
const SOCKET_MODE: u32 = 0o660;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;
/// Connections of one listener at a time. Each listener has its own share: a crowd at the port keeps no one from the
/// control socket.
const CONNECTIONS: usize = 128;
/// The time for a request's head, also the longest that a connection may idle.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// The time for a whole connection, above the longest call (a reload): a client that does not take its reply does not keep
/// its place.
const CONNECTION_WITHIN: Duration = Duration::from_secs(90);
/// How long calls in flight may take after the order to stop.
const GRACE: Duration = Duration::from_secs(5);
/// The pause after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why the API cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The TCP address cannot be bound.
    #[error("[admin] listen: cannot bind {address}: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A server answers at the control socket.
    #[error("[admin] socket: another leeward is running and answers at {0}; stop it, or give this one another socket")]
    InUse(PathBuf),
    /// What is at the control socket's path is something else.
    #[error("[admin] socket: {0} exists and is not a socket; remove it, or name another path")]
    NotASocket(PathBuf),
    /// The control socket cannot be made.
    #[error("[admin] socket: cannot make {path}: {source}")]
    Socket {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The bound listeners.
#[derive(Debug)]
pub struct Listeners {
    socket: Option<ControlSocket>,
    tcp: Option<TcpListener>,
    access: Access,
}

impl Listeners {
    /// Binds what `config` names. A control socket in a directory that is not there or not writable is left out, with a
    /// warning. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`], naming the setting.
    pub fn bind(config: &Config) -> Result<Self, ListenError> {
        let socket = config.socket.as_deref().map(ControlSocket::bind_if_writable).transpose()?.flatten();
        let tcp = config.listen.map(bind_tcp).transpose()?;
        Ok(Self { socket, tcp, access: Access::over_tcp(config) })
    }

    /// The TCP addresses, with the real port where port 0 was asked for.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.tcp.iter().filter_map(|tcp| tcp.local_addr().ok())
    }

    /// The control socket's path; `None` where it is left out.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_ref().map(|socket| &*socket.path)
    }

    /// Answers calls until `shutdown`, then lets those in flight end for a few seconds.
    pub async fn serve(self, node: Node, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(());
        let mut serving = JoinSet::new();
        if let Some(socket) = self.socket {
            serving.spawn(accept(Listener::Socket(socket), router(node.clone(), Access::Socket), stopped.clone()));
        }
        if let Some(tcp) = self.tcp {
            serving.spawn(accept(Listener::Tcp(tcp), router(node, self.access), stopped));
        }
        shutdown.await;
        drop(stop);
        if tokio::time::timeout(GRACE, async { while serving.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!("API calls did not end within {} s and were cut off", GRACE.as_secs());
        }
    }
}

fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|source| ListenError::Bind { address, source })
}

// -------- the control socket

/// A bound control socket; removes its file when it is dropped, unless another server has replaced it.
#[derive(Debug)]
struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
}

impl ControlSocket {
    fn bind_if_writable(path: &Path) -> Result<Option<Self>, ListenError> {
        match Self::bind(path) {
            Err(ListenError::Socket { path, source }) if is_not_writable(&source) => {
                tracing::warn!(
                    "no control socket at {}: {source}; `leeward status` and the like need [admin] listen",
                    path.display()
                );
                Ok(None)
            }
            bound => bound.map(Some),
        }
    }

    fn bind(path: &Path) -> Result<Self, ListenError> {
        clear(path)?;
        let failed = |source| ListenError::Socket { path: path.to_owned(), source };
        let listener = listen(path).map_err(failed)?;
        let meta = std::fs::symlink_metadata(path).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), file: (meta.dev(), meta.ino()) })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.file);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Removes the socket that a server that is gone has left behind.
fn clear(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Socket { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => return Err(ListenError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ListenError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

/// The mode is set before the file exists (Linux takes it from the socket's inode, less the umask) and again after, for
/// a umask that keeps the group out: at no time may anyone else open it.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(SOCKET_MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}

fn is_not_writable(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied | ReadOnlyFilesystem)
}

// -------- connections

enum Listener {
    Socket(ControlSocket),
    Tcp(TcpListener),
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Socket(socket) => socket.listener.accept().await.map(|(stream, _)| Box::new(stream) as Box<dyn Stream>),
            Self::Tcp(tcp) => tcp.accept().await.map(|(stream, _)| Box::new(stream) as Box<dyn Stream>),
        }
    }
}

/// Accepts until `stopped`, then waits for the connections.
async fn accept(listener: Listener, router: Router, mut stopped: watch::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            _ = stopped.changed() => break,
            (accepted, place) = next => match accepted {
                Ok(stream) => {
                    let connection = connection(stream, router.clone(), stopped.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!("cannot accept an API connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one call on one connection; once `stopped`, to the end of the call in flight.
async fn connection(stream: Box<dyn Stream>, router: Router, mut stopped: watch::Receiver<()>) {
    let (router, lasting) = (TowerToHyperService::new(router), Lasting::default());
    let seen = lasting.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(seen.clone());
        router.call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).keep_alive(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = expiry(&lasting) => return,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("an API connection ended early: {error}");
    }
}

/// When a connection has lasted long enough; a stream of events may last, which looks after itself.
async fn expiry(lasting: &Lasting) {
    loop {
        tokio::time::sleep(CONNECTION_WITHIN).await;
        if !lasting.is_set() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpStream, UnixStream};

    use super::super::tests::fake;
    use super::*;

    const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";

    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
        stream.write_all(REQUEST).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn both_listeners_answer_and_stop() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("control.sock");
        let config = Config { socket: Some(socket.clone()), listen: Some(([127, 0, 0, 1], 0).into()), tokens: Vec::new() };
        let listeners = Listeners::bind(&config).unwrap();
        let address = listeners.addresses().next().unwrap();
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(Listeners::bind(&config), Err(ListenError::InUse(_))));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(listeners.serve(fake().run(None), async move { drop(stopped.await) }));
        assert!(answer(UnixStream::connect(&socket).await.unwrap()).await.starts_with("HTTP/1.1 200"));
        assert!(answer(TcpStream::connect(address).await.unwrap()).await.ends_with("ok\n"));
        let _idle = TcpStream::connect(address).await.unwrap();
        drop(stop);
        serving.await.unwrap();
        assert!(!socket.exists());
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let bound = |path: &Path| Listeners::bind(&Config { socket: Some(path.to_owned()), ..Config::default() });
        assert!(bound(&path).unwrap().socket().is_some());
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bound(&path), Err(ListenError::NotASocket(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        let absent = bound(&dir.path().join("no/such/folder/control.sock")).unwrap();
        assert!(absent.socket().is_none());
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config = Config { listen: taken.local_addr().ok(), ..Config::default() };
        let error = Listeners::bind(&config).unwrap_err().to_string();
        assert!(error.contains(&taken.local_addr().unwrap().to_string()), "{error}");
    }
}
