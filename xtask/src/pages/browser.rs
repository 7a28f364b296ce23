//! A headless Chromium, told what to do through the DevTools protocol. What is done with a page is left to others.

use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// Chromium takes orders at descriptor 3 and answers at 4, each message with a zero behind it. A shell puts our
/// pipes there.
const AT_3_AND_4: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 >/dev/null 2>/dev/null";

const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// Nothing that is asked of a page takes as long, on a busy machine neither.
const PATIENCE: Duration = Duration::from_mins(1);

/// A browser; it ends with this value.
pub struct Browser {
    process: Child,
    orders: ChildStdin,
    messages: Receiver<Value>,
    /// The number of the last order.
    number: u64,
}

/// A tab, with what it told so far.
pub struct Tab<'a> {
    browser: &'a mut Browser,
    target: String,
    session: String,
    events: Vec<Value>,
}

impl Browser {
    /// Starts one, with a folder of its own.
    ///
    /// # Errors
    /// It cannot be started, or does not answer.
    pub fn start(program: &Path, profile: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new("sh")
            .args(["-c", AT_3_AND_4])
            .arg(program)
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the browser")?;
        let orders = process.stdin.take().context("its input is a pipe")?;
        let answers = process.stdout.take().context("its output is a pipe")?;
        let (sender, messages) = mpsc::channel();
        spawn(move || {
            for message in BufReader::new(answers).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { break };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self { process, orders, messages, number: 0 };
        browser.order(None, "Browser.getVersion", &json!({}), &mut Vec::new())?;
        let granted = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        browser.order(None, "Browser.grantPermissions", &granted, &mut Vec::new())?;
        Ok(browser)
    }

    /// Opens a tab with nothing in it.
    pub fn tab(&mut self) -> anyhow::Result<Tab<'_>> {
        let none = &mut Vec::new();
        let made =
            self.order(None, "Target.createTarget", &json!({ "url": "about:blank" }), none)?;
        let target = made["targetId"].as_str().context("a tab has a name")?.to_owned();
        let attach = json!({ "targetId": target, "flatten": true });
        let attached = self.order(None, "Target.attachToTarget", &attach, none)?;
        let session = attached["sessionId"].as_str().context("a session has a name")?.to_owned();
        Ok(Tab { browser: self, target, session, events: Vec::new() })
    }

    /// Sends an order and waits for its answer; what else is told meanwhile is added to `events`.
    fn order(
        &mut self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
        events: &mut Vec<Value>,
    ) -> anyhow::Result<Value> {
        self.number += 1;
        let mut order = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = session {
            order["sessionId"] = json!(session);
        }
        self.orders.write_all(format!("{order}\0").as_bytes()).context("ordering the browser")?;
        loop {
            let mut message = self.messages.recv_timeout(PATIENCE).context(method.to_owned())?;
            if message["id"] == self.number {
                if let Some(error) = message.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(message["result"].take());
            }
            events.push(message);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.order(None, "Browser.close", &json!({}), &mut Vec::new());
        let _ = self.process.wait();
    }
}

impl Tab<'_> {
    /// Sends an order to the tab and waits for its answer.
    pub fn order(&mut self, method: &str, parameters: &Value) -> anyhow::Result<Value> {
        self.browser.order(Some(&self.session), method, parameters, &mut self.events)
    }

    /// Waits until the tab tells of an event.
    pub fn wait_for(&mut self, event: &str) -> anyhow::Result<()> {
        while !self.told(event).any(|_| true) {
            let message = self.browser.messages.recv_timeout(PATIENCE).context(event.to_owned())?;
            self.events.push(message);
        }
        Ok(())
    }

    /// What the tab told of a kind of event so far.
    pub fn told(&self, event: &str) -> impl Iterator<Item = &Value> {
        let ours = self.events.iter().filter(|one| one["sessionId"] == self.session);
        ours.filter(move |one| one["method"] == event).map(|one| &one["params"])
    }

    /// The value of an expression, once it has settled.
    pub fn value(&mut self, expression: &str) -> anyhow::Result<Value> {
        let evaluate =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.order("Runtime.evaluate", &evaluate)?;
        if let Some(failed) = answer.get("exceptionDetails") {
            bail!("{expression}: {failed}");
        }
        Ok(answer["result"]["value"].take())
    }

    /// Closes it.
    pub fn close(mut self) -> anyhow::Result<()> {
        let close = json!({ "targetId": self.target });
        self.browser.order(None, "Target.closeTarget", &close, &mut self.events)?;
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer's tool, which nothing simulates")]
fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}
