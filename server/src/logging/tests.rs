use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use super::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What of a few lines, ours and an HTTP client's, is logged at a level.
fn logged(level: LogLevel) -> String {
    let log = Log::default();
    let lines = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(move || lines.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::debug!("our-debug");
        tracing::warn!("our-warning");
        tracing::error!("our-error");
        tracing::debug!(target: "palmd", "start-debug");
        tracing::debug!(target: "ureq::run", "GET /v1/payment_intents?customer=cus_1");
        tracing::info!(target: "ureq::run", "their-info");
        tracing::warn!(target: "h2", "their-warning");
    });
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn outside_crates_are_heard_from_warnings_on_only() {
    let debug = logged(LogLevel::Debug);
    for line in ["our-debug", "start-debug", "our-error", "their-warning"] {
        assert!(debug.contains(line), "{line}: {debug}");
    }
    for line in ["cus_1", "their-info"] {
        assert!(!debug.contains(line), "{line}: {debug}");
    }
    let warn = logged(LogLevel::Warn);
    assert!(
        warn.contains("our-warning") && !warn.contains("our-debug"),
        "{warn}"
    );
    let error = logged(LogLevel::Error);
    assert!(
        error.contains("our-error") && !error.contains("warning"),
        "{error}"
    );
}
