//! A TCP server in this process whose connections can all be cut, and which comes back at the same port.

use std::{
    fmt,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use anyhow::{Context, Result};

type Handler = dyn Fn(TcpStream) + Send + Sync;

/// The server. Dropping it closes everything.
pub struct Stage {
    address: SocketAddr,
    handler: Arc<Handler>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    accepting: Mutex<Option<(Arc<AtomicBool>, JoinHandle<()>)>>,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stage({})", self.address)
    }
}

impl Stage {
    /// Listens on loopback at a free port; each connection is handled on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no port.
    pub fn start(handler: impl Fn(TcpStream) + Send + Sync + 'static) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port on loopback")?;
        let stage = Self {
            address: listener.local_addr().context("no address")?,
            handler: Arc::new(handler),
            open: Arc::default(),
            accepting: Mutex::new(None),
        };
        stage.accept(listener);
        Ok(stage)
    }

    /// Where it listens, or did.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections and takes no more.
    pub fn down(&self) {
        let Some((is_down, thread)) = lock(&self.accepting).take() else {
            return;
        };
        is_down.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        drop(thread.join());
        self.cut();
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for stream in lock(&self.open).drain(..) {
            // It may have ended by itself.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Listens again, at the same port.
    ///
    /// # Errors
    /// When somebody else took the port.
    pub fn up(&self) -> Result<()> {
        let listener = TcpListener::bind(self.address).context("the port was taken")?;
        self.accept(listener);
        Ok(())
    }

    fn accept(&self, listener: TcpListener) {
        let is_down = Arc::new(AtomicBool::new(false));
        let (handler, open) = (Arc::clone(&self.handler), Arc::clone(&self.open));
        let told = Arc::clone(&is_down);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if told.load(Ordering::SeqCst) {
                    return;
                }
                lock(&open).extend(stream.try_clone());
                let handler = Arc::clone(&handler);
                std::thread::spawn(move || handler(stream));
            }
        });
        *lock(&self.accepting) = Some((is_down, thread));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.down();
    }
}

/// A lock that a panic elsewhere does not take along.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
