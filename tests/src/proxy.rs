//! A wire that can be cut: TCP on loopback between a till and palmd, which may come back at another port.
//!
//! TLS passes through unread, so it cannot tell one message from another; what it can do is stop what palmd says from
//! arriving, and say that something was on its way.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::process::PATIENCE;

const CHUNK: usize = 64 << 10;
/// Longest wait for palmd to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Passes bytes on until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    upstream: Option<SocketAddr>,
    open: Vec<TcpStream>,
    /// What tills say is lost.
    deaf: bool,
    /// What palmd says stays here.
    holding: bool,
    /// Bytes that were held back.
    held: usize,
    /// Bytes that the till sent.
    sent: usize,
    closed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let value = change(&mut self.state());
        self.changed.notify_all();
        value
    }

    fn wait(&self, what: &str, until: impl Fn(&State) -> bool) -> Result<()> {
        let waited = self
            .changed
            .wait_timeout_while(self.state(), PATIENCE, |state| !until(state));
        let (_state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        ensure!(!timeout.timed_out(), "waited in vain for {what}");
        Ok(())
    }
}

impl Proxy {
    /// Listens on a free port of loopback; connections are refused until [`Proxy::lead_to`].
    ///
    /// # Errors
    /// When the system gives no port.
    pub fn start() -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port on loopback")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if own.state().closed {
                    return;
                }
                // A connection that palmd does not take is closed: the till sees a service that is gone.
                drop(connect(&own, near));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where tills connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go there; none are taken with `None`.
    pub fn lead_to(&self, upstream: Option<SocketAddr>) {
        self.shared.change(|state| state.upstream = upstream);
    }

    /// From now on nothing that palmd says arrives.
    pub fn hold(&self) {
        self.shared
            .change(|state| (state.holding, state.held) = (true, 0));
    }

    /// From now on nothing that tills say arrives.
    pub fn deafen(&self) {
        self.shared.change(|state| state.deaf = true);
    }

    /// Waits until palmd said something that is held back.
    ///
    /// # Errors
    /// When it stays silent for [`PATIENCE`].
    pub fn wait_held(&self) -> Result<()> {
        self.shared.wait("palmd to answer", |state| state.held > 0)
    }

    /// Bytes that tills sent since the start.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.shared.state().sent
    }

    /// Waits until tills sent more than `before` bytes.
    ///
    /// # Errors
    /// When none come for [`PATIENCE`].
    pub fn wait_sent(&self, before: usize) -> Result<()> {
        self.shared
            .wait("the till to send", |state| state.sent > before)
    }

    /// Cuts every connection, forgets what was held back, and passes on again what comes over new ones.
    pub fn cut(&self) {
        self.shared.change(|state| {
            for stream in state.open.drain(..) {
                // The other side may have closed it already.
                drop(stream.shutdown(Shutdown::Both));
            }
            (state.deaf, state.holding, state.held) = (false, false, 0);
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.change(|state| state.closed = true);
        self.cut();
        // Wakes the thread that accepts, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

fn connect(shared: &Arc<Shared>, near: TcpStream) -> Result<()> {
    let upstream = shared.state().upstream.context("palmd is down")?;
    let far = TcpStream::connect_timeout(&upstream, CONNECT)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ends = [near.try_clone()?, far.try_clone()?];
    shared.change(|state| state.open.extend(ends));
    let (till, palmd) = (near.try_clone()?, far.try_clone()?);
    let own = Arc::clone(shared);
    std::thread::spawn(move || {
        pass_on(till, palmd, |bytes| {
            own.change(|state| {
                state.sent += bytes;
                !state.deaf
            })
        })
    });
    let own = Arc::clone(shared);
    std::thread::spawn(move || {
        pass_on(far, near, |bytes| {
            own.change(|state| {
                if state.holding {
                    state.held += bytes;
                }
                !state.holding
            })
        })
    });
    Ok(())
}

/// Copies until either side closes; a chunk that `may_pass` refuses is lost.
fn pass_on(mut from: TcpStream, mut to: TcpStream, may_pass: impl Fn(usize) -> bool) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(read @ 1..) = from.read(&mut chunk) {
        if may_pass(read) && to.write_all(&chunk[..read]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        // It may be closed already.
        drop(stream.shutdown(Shutdown::Both));
    }
}
