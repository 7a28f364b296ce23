//! The REST face of a running cluster against its own OpenAPI document, by schemathesis: no 5xx, no answer that
//! the document does not describe; as a service, and as a user.

use super::cluster::{Cluster, topology};
use super::{folder, python};
use crate::repository::root;
use crate::say;
use anyhow::ensure;
use std::path::Path;
use std::process::Command;

/// What is installed, and what it is asked.
const TOOL: &str = "schemathesis==4.32.5";
const EXAMPLES: &str = "100";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance";
/// Tokens would end.
const LEFT_OUT: &str = "/oauth2/keys/rotate|/oauth2/users|/oauth2/revoke";

/// For whom a token is asked, as a form.
const CALLERS: [(&str, &str); 2] = [
    ("a service", "grant_type=client_credentials&client_id=rest&client_secret=rest-secret"),
    ("a user", "grant_type=password&username=user-1&password=fracas"),
];

/// Starts a cluster and asks it.
pub fn run() -> anyhow::Result<bool> {
    let python = python::with(TOOL, "schemathesis")?;
    let folder = folder("rest")?;
    let (topology, gateway) = topology()?;
    let config = format!(
        "partitions = 4\ndevelopment_users = 20\n{topology}\
         [[services]]\nid = \"rest\"\nsecret = \"rest-secret\"\nscopes = [\"admin\", \"audit\"]\n"
    );
    let _cluster = Cluster::start(&config, &folder)?;
    let at = format!("http://127.0.0.1:{gateway}");
    for (caller, form) in CALLERS {
        say(&format!("the REST face as {caller}"));
        if !asked(&python, &at, &token(&python, &at, form)?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// An access token, by the Python that is there anyway.
fn token(python: &Path, at: &str, form: &str) -> anyhow::Result<String> {
    let script = "import json, sys, urllib.request as r; \
                  print(json.load(r.urlopen(sys.argv[1], sys.argv[2].encode()))['access_token'])";
    let url = format!("{at}/oauth2/token");
    let output = Command::new(python).args(["-c", script, &url, form]).output()?;
    ensure!(output.status.success(), "no token: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn asked(python: &Path, at: &str, token: &str) -> anyhow::Result<bool> {
    let status = Command::new(python)
        .args(["-m", "schemathesis.cli", "run", &format!("{at}/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--max-examples", EXAMPLES, "--exclude-path-regex", LEFT_OUT, "--checks", CHECKS])
        .args(["--seed", "1", "--no-color"])
        .current_dir(root().join("target/engines"))
        .status()?;
    Ok(status.success())
}
