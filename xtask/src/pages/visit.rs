//! One visit of a page: opened in a colour scheme and a width, read, and clicked through.

use super::browser::{Browser, Tab};
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::path::Path;

/// What is asked of a page.
const LOOK: &str = include_str!("look.js");

/// A phone, and a laptop.
const HEIGHT: u32 = 844;

/// How a page is opened.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub scheme: &'static str,
    /// In pixels.
    pub width: u32,
}

/// A small phone and a laptop, by day and by night.
pub const VIEWS: [View; 4] = [
    View { scheme: "light", width: 390 },
    View { scheme: "dark", width: 390 },
    View { scheme: "light", width: 1_280 },
    View { scheme: "dark", width: 1_280 },
];

/// What can be clicked, and what is asked afterwards. What is folded is opened first, so that all of the rest is shown.
const CLICKS: [(&str, &str); 3] =
    [("summary", "summary"), (".space a", "step"), ("button[data-copy]", "copy")];

/// What is wrong with a page; `picture` is where to put how it looks.
///
/// # Errors
/// The browser does not do what it is told.
pub fn visit(
    browser: &mut Browser,
    page: &Path,
    view: View,
    picture: &Path,
) -> anyhow::Result<Vec<String>> {
    let mut tab = browser.tab()?;
    for domain in ["Page", "Runtime", "Log", "Network"] {
        tab.order(&format!("{domain}.enable"), &json!({}))?;
    }
    let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": view.scheme }] });
    tab.order("Emulation.setEmulatedMedia", &scheme)?;
    sized(&mut tab, view, HEIGHT)?;
    let page = page.canonicalize().with_context(|| page.display().to_string())?;
    tab.order("Page.navigate", &json!({ "url": format!("file://{}", page.display()) }))?;
    tab.wait_for("Page.loadEventFired")?;
    tab.value(LOOK)?;
    pictured(&mut tab, view, picture)?;

    let mut wrong = asked(&mut tab, &format!("look.width({})", view.width))?;
    wrong.extend(hovered(&mut tab)?);
    for (selector, question) in CLICKS {
        wrong.extend(clicked(&mut tab, selector, question)?);
    }
    // Now that everything is open, all of it is laid out at once, so that whatever is behind a text can be asked for.
    let height = height(&mut tab)?;
    sized(&mut tab, view, height)?;
    for question in [&format!("look.width({})", view.width), "look.contrast()", "look.overlaps()"] {
        wrong.extend(asked(&mut tab, question)?);
    }
    wrong.extend(console(&tab));
    wrong.extend(requests(&tab));
    tab.close()?;
    wrong.dedup();
    Ok(wrong)
}

fn sized(tab: &mut Tab<'_>, view: View, height: u32) -> anyhow::Result<()> {
    let mobile = view.width < 500;
    let size =
        json!({ "width": view.width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
    tab.order("Emulation.setDeviceMetricsOverride", &size).map(drop)
}

fn height(tab: &mut Tab<'_>) -> anyhow::Result<u32> {
    let height = tab.value("document.documentElement.scrollHeight")?;
    let height = height.as_u64().context("a page has a height")?;
    u32::try_from(height).context("a page is not that high")
}

/// Takes a picture of the whole page, as it is opened.
fn pictured(tab: &mut Tab<'_>, view: View, picture: &Path) -> anyhow::Result<()> {
    let clip = json!({ "x": 0, "y": 0, "width": view.width, "height": height(tab)?, "scale": 1 });
    let shot = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
    let shot = tab.order("Page.captureScreenshot", &shot)?;
    let shot = shot["data"].as_str().context("a picture has data")?;
    std::fs::write(picture, BASE64.decode(shot).context("a picture is in Base64")?)
        .with_context(|| picture.display().to_string())
}

/// What the page answers.
fn asked(tab: &mut Tab<'_>, question: &str) -> anyhow::Result<Vec<String>> {
    let answer = tab.value(question)?;
    serde_json::from_value(answer).with_context(|| format!("the answer to {question}"))
}

/// Clicks on each of a kind, and asks after each.
fn clicked(tab: &mut Tab<'_>, selector: &str, question: &str) -> anyhow::Result<Vec<String>> {
    let count = tab.value(&format!("look.count({selector:?})"))?.as_u64().unwrap_or(0);
    let mut wrong = Vec::new();
    for at in 0..count {
        let place = tab.value(&format!("look.place({selector:?}, {at})"))?;
        if place.is_null() {
            wrong.push(format!("{selector}, number {}, is not shown", at + 1));
            continue;
        }
        for kind in ["mousePressed", "mouseReleased"] {
            pointed(tab, kind, &place)?;
        }
        wrong.extend(asked(tab, &format!("look.{question}({at})"))?);
    }
    Ok(wrong)
}

/// Puts the pointer on the chart over time, if there is one.
fn hovered(tab: &mut Tab<'_>) -> anyhow::Result<Vec<String>> {
    const CHART: &str = "svg.timeline";
    if tab.value(&format!("look.count({CHART:?})"))? == 0 {
        return Ok(Vec::new());
    }
    let place = tab.value(&format!("look.place({CHART:?}, 0)"))?;
    pointed(tab, "mouseMoved", &place)?;
    let wrong = asked(tab, "look.tip()")?;
    pointed(tab, "mouseMoved", &json!({ "x": 0, "y": 0 }))?;
    Ok(wrong)
}

fn pointed(tab: &mut Tab<'_>, kind: &str, place: &Value) -> anyhow::Result<()> {
    let button = if kind == "mouseMoved" { "none" } else { "left" };
    let event = json!({ "type": kind, "x": place["x"], "y": place["y"], "button": button, "clickCount": 1 });
    tab.order("Input.dispatchMouseEvent", &event).map(drop)
}

/// What the console has.
fn console(tab: &Tab<'_>) -> Vec<String> {
    ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"]
        .iter()
        .flat_map(|event| tab.told(event))
        .map(|said| format!("the console has: {said}"))
        .collect()
}

/// What was asked for besides the page itself.
fn requests(tab: &Tab<'_>) -> Vec<String> {
    tab.told("Network.requestWillBeSent")
        .skip(1)
        .map(|asked| format!("it asked for {}", asked["request"]["url"]))
        .collect()
}
