//! A headless Chromium, driven through chromedriver by the W3C WebDriver protocol: JSON over HTTP on loopback, of which
//! the tests need a dozen commands.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::process::{PATIENCE, Program};

const REMEDY: &str =
    "install it (Debian: apt-get install chromium chromium-driver), or run ./x test, which does";
const FOLDERS: [&str; 4] = [
    "/usr/bin",
    "/usr/local/bin",
    "/usr/lib/chromium",
    "/snap/bin",
];
/// Longest wait for an answer of the driver; its scripts give up before.
const ANSWER: Duration = Duration::from_secs(90);
/// The key under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Nothing of a user's, nothing from outside: only loopback has a name.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1600",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// Resolves when the page shows the words, or when it does not for too long: with what it shows then.
const UNTIL_SHOWN: &str = "
    const [words, patience, done] = arguments;
    const shown = () => document.body.innerText;
    let timer;
    const watch = new MutationObserver(() => look());
    const end = (seen) => { watch.disconnect(); clearTimeout(timer); done([seen, shown()]); };
    const look = () => { if (shown().includes(words)) end(true); };
    timer = setTimeout(() => end(false), patience);
    watch.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
    look();
";

/// A browser with one page. Dropping it closes both.
#[derive(Debug)]
pub struct Browser {
    agent: Agent,
    session: String,
    _driver: Program,
    _profile: TempDir,
}

impl Browser {
    /// Starts chromedriver and Chromium with an empty profile.
    ///
    /// # Errors
    /// When one of them is missing, with the remedy, or does not start.
    pub fn start() -> Result<Self> {
        let (driver, chromium) = (installed("chromedriver")?, installed("chromium")?);
        let profile = tempfile::tempdir()?;
        let log = profile.path().join("chromedriver.log");
        let driver = Program::start_at(&driver, &[OsStr::new("--port=0")], &log)?;
        let port = driver.said("ChromeDriver was started successfully on port ")?;
        let port: u16 = port
            .trim_end_matches('.')
            .parse()
            .context("chromedriver's port")?;
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER))
            .build()
            .into();
        let base = format!("http://127.0.0.1:{port}/session");
        let wanted = capabilities(&chromium, &profile.path().join("profile"));
        let made = call(&agent, &base, &wanted)?;
        let id = made["sessionId"].as_str().context("a session without id")?;
        let session = format!("{base}/{id}");
        let browser = Self {
            agent,
            session,
            _driver: driver,
            _profile: profile,
        };
        // Its own first page asks for pieces of itself, which is nobody's business.
        browser.open("about:blank")?;
        browser.requested()?;
        Ok(browser)
    }

    fn ask(&self, command: &str, body: &Value) -> Result<Value> {
        call(&self.agent, &format!("{}/{command}", self.session), body)
    }

    /// Opens an address.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn open(&self, address: &str) -> Result<()> {
        self.ask("url", &json!({ "url": address })).map(drop)
    }

    /// Loads the page again.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn reload(&self) -> Result<()> {
        self.ask("refresh", &json!({})).map(drop)
    }

    /// Waits until the page shows these words.
    ///
    /// # Errors
    /// When it does not for [`PATIENCE`]: what it shows instead.
    pub fn shows(&self, words: &str) -> Result<String> {
        let patience = u64::try_from(PATIENCE.as_millis())?;
        let script = json!({ "script": UNTIL_SHOWN, "args": [words, patience] });
        let seen = self.ask("execute/async", &script)?;
        let text = seen[1].as_str().unwrap_or_default().to_owned();
        ensure!(
            seen[0] == true,
            "{words:?} does not appear; the page shows:\n{text}"
        );
        Ok(text)
    }

    /// What a piece of JavaScript returns.
    ///
    /// # Errors
    /// When it throws.
    pub fn evaluate(&self, expression: &str) -> Result<Value> {
        self.ask(
            "execute/sync",
            &json!({ "script": format!("return {expression}"), "args": [] }),
        )
    }

    fn element(&self, xpath: &str) -> Result<String> {
        let found = self.ask("element", &json!({ "using": "xpath", "value": xpath }))?;
        Ok(found[ELEMENT]
            .as_str()
            .context("an element without id")?
            .to_owned())
    }

    /// Clicks where a person would see this element.
    ///
    /// # Errors
    /// When there is none, or something covers it.
    pub fn click(&self, xpath: &str) -> Result<()> {
        let element = self.element(xpath)?;
        self.ask(&format!("element/{element}/click"), &json!({}))
            .map(drop)
    }

    /// Clicks the button with these words, or with this label.
    ///
    /// # Errors
    /// As [`Browser::click`].
    pub fn press(&self, words: &str) -> Result<()> {
        ensure!(
            !words.contains('"'),
            "{words}: XPath has no way to quote this"
        );
        self.click(&format!(
            "//button[not(@disabled)][normalize-space()=\"{words}\" or @aria-label=\"{words}\"]"
        ))
    }

    /// Types into an element.
    ///
    /// # Errors
    /// When there is none that takes text.
    pub fn type_into(&self, xpath: &str, text: &str) -> Result<()> {
        let element = self.element(xpath)?;
        self.ask(
            &format!("element/{element}/value"),
            &json!({ "text": text }),
        )
        .map(drop)
    }

    /// Presses keys, one after the other, wherever the focus is.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn keys(&self, keys: &str) -> Result<()> {
        let key = |key: char| {
            let key = key.to_string();
            [
                json!({"type": "keyDown", "value": key}),
                json!({"type": "keyUp", "value": key}),
            ]
        };
        let actions: Vec<Value> = keys.chars().flat_map(key).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.ask("actions", &json!({ "actions": [keyboard] }))
            .map(drop)
    }

    /// What the page complained about on its console since the last look.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn complaints(&self) -> Result<Vec<String>> {
        let entries = self.ask("se/log", &json!({ "type": "browser" }))?;
        let severe = entries.as_array().context("a log")?.iter().filter(|entry| {
            ["SEVERE", "WARNING"]
                .iter()
                .any(|level| entry["level"] == *level)
        });
        Ok(severe.map(|entry| entry["message"].to_string()).collect())
    }

    /// Every address that the page asked for since the last look.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn requested(&self) -> Result<Vec<String>> {
        let entries = self.ask("se/log", &json!({ "type": "performance" }))?;
        let mut addresses = Vec::new();
        for entry in entries.as_array().context("a log")? {
            let message: Value =
                serde_json::from_str(entry["message"].as_str().context("a message")?)?;
            let message = &message["message"];
            if message["method"] == "Network.requestWillBeSent" {
                let address = message["params"]["request"]["url"]
                    .as_str()
                    .context("a URL")?;
                addresses.push(address.to_owned());
            }
        }
        Ok(addresses)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closes Chromium; a driver that is gone took it along.
        drop(self.agent.delete(&self.session).call());
    }
}

fn installed(name: &str) -> Result<PathBuf> {
    let paths = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    paths
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not in {}: {REMEDY}", FOLDERS.join(", ")))
}

fn capabilities(chromium: &Path, profile: &Path) -> Value {
    let mut arguments: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": { "binary": chromium, "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        "timeouts": { "script": 80_000, "pageLoad": 60_000, "implicit": 5_000 },
    }}})
}

fn call(agent: &Agent, address: &str, body: &Value) -> Result<Value> {
    let mut answer = agent
        .post(address)
        .content_type("application/json")
        .send(body.to_string())
        .with_context(|| format!("chromedriver: {address}"))?;
    let text = answer
        .body_mut()
        .with_config()
        .limit(64 << 20)
        .read_to_string()?;
    let mut answer: Value = serde_json::from_str(&text).context("chromedriver's answer")?;
    let value = answer["value"].take();
    if let Some(error) = value["error"].as_str() {
        bail!(
            "chromedriver: {error}: {}",
            value["message"].as_str().unwrap_or_default()
        );
    }
    Ok(value)
}
