//! The bank as a process of its own on loopback, the schemas' checker, and another reader of statements.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::sync_channel,
    time::Duration,
};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// Where `./x counterparts` installed it.
pub(crate) struct Install {
    python: PathBuf,
}

impl Install {
    /// None, and a word about it, where it is not installed.
    pub(crate) fn find() -> Option<Self> {
        let own = std::env::current_exe().unwrap();
        // <target>/<profile>/deps/<test>
        let target = own.ancestors().nth(3).unwrap();
        let python = target.join("counterparts/bank/bin/python");
        if python.is_file() {
            return Some(Self { python });
        }
        let mut out = std::io::stderr();
        writeln!(out, "skipped: the bank is not installed: ./x counterparts").unwrap();
        None
    }

    /// Checks a message against its schema; the findings in words.
    pub(crate) fn validate(&self, message: &str, text: &str) -> Result<(), String> {
        self.run("validate.py", &[message], text).map(|_| ())
    }

    /// What another reader of camt.053 makes of a statement.
    pub(crate) fn read_statement(&self, text: &str) -> Value {
        let said = self.run("read_statement.py", &[], text).unwrap();
        serde_json::from_str(&said).unwrap()
    }

    /// Gives a text to a script beside the tests; what it says, or what it complains of.
    fn run(&self, script: &str, arguments: &[&str], text: &str) -> Result<String, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("counterparts")
            .join(script);
        let mut child = Command::new(&self.python)
            .arg("-I")
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

/// A bank at work. Dropping it kills it.
pub(crate) struct Bank {
    child: Child,
    base: String,
    agent: ureq::Agent,
}

impl Bank {
    /// Starts one; none where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let install = Install::find()?;
        let mut child = Command::new(&install.python)
            .args([
                "-I",
                "-m",
                "mockbank",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--clock",
                "2026-11-24T09:00",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (said, line) = sync_channel(1);
        // It reads the log to its end, so that the bank never waits for a reader.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let address = line.split_once(" listening on ").map(|(_, rest)| rest);
                let address = address
                    .and_then(|rest| rest.split_once("/ "))
                    .map(|(base, _)| base.to_owned());
                if let Some(address) = address {
                    // Nobody listens after the first.
                    let _sent = said.try_send(address);
                }
            }
        });
        let base = line
            .recv_timeout(PATIENCE)
            .expect("the bank says where it listens");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE));
        Some(Self {
            child,
            base,
            agent: config.build().into(),
        })
    }

    /// The status and the answer.
    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        let request = self.agent.post(format!("{}{path}", self.base));
        let mut answer = request.send(body).unwrap();
        (
            answer.status().as_u16(),
            answer.body_mut().read_to_string().unwrap(),
        )
    }

    pub(crate) fn patch(&self, path: &str, body: &str) {
        let request = self.agent.patch(format!("{}{path}", self.base));
        let answer = request
            .header("Content-Type", "application/json")
            .send(body)
            .unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Moves the bank's clock on.
    pub(crate) fn advance(&self, days: u8) {
        let (status, answer) = self.post(&format!("/_mock/advance?days={days}"), "");
        assert_eq!(status, 200, "{answer}");
    }

    /// What it sent to an account, of a kind of message, oldest first; the messages stay.
    pub(crate) fn mail(&self, kind: &str, account: &str) -> Vec<String> {
        let url = format!("{}/_mock/mailbox?leave&type={kind}", self.base);
        let text = self
            .agent
            .get(url)
            .call()
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
        let messages: Vec<Value> = serde_json::from_str(&text).unwrap();
        let own = messages
            .iter()
            .filter(|message| message["account"] == account);
        own.map(|message| message["body"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}
