//! The victim: a real process with few descriptors, and what `/proc` says of it.

use super::exchange;
use crate::processes::{FRACAS, Playground};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

/// Descriptors that the cluster may have: fewer than a client can ask for.
pub const DESCRIPTORS: usize = 512;

/// A running cluster.
pub struct Cluster {
    process: Child,
    pub address: SocketAddr,
    _data: Playground,
}

/// How large a process is.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    pub resident_kib: usize,
    pub descriptors: usize,
}

impl Cluster {
    /// `limits`: the name of a set.
    pub fn start(limits: &str) -> Self {
        let data = Playground::new("hostile", "limits", "");
        // Six ports in a row, below those that connections get, and apart from those of other tests.
        let port = 10_000 + (std::process::id() % 1_500 * 6) as u16;
        let limited = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
        let mut process = Command::new("sh")
            .args(["-c", &limited, FRACAS, "cluster", "--json", "--data=data", "--ends-with-stdin"])
            .args([format!("--port={port}"), format!("--limits={limits}")])
            .current_dir(data.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains(&format!("127.0.0.1:{port}")), "it says when it is ready: {line:?}");
        Self { process, address: (Ipv4Addr::LOCALHOST, port).into(), _data: data }
    }

    pub fn vitals(&self) -> Vitals {
        let of = format!("/proc/{}", self.process.id());
        let status = std::fs::read_to_string(format!("{of}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Vitals {
            resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
            descriptors: std::fs::read_dir(format!("{of}/fd")).unwrap().count(),
        }
    }

    /// An access token of a user.
    pub fn token(&self, user: u64) -> String {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let body = format!("grant_type=password&username=user-{user}&password=fracas");
        let answer = self.ask("POST /oauth2/token", form, &body);
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// A group that the owner of the token makes with others.
    pub fn group(&self, token: &str, with: &[u64]) -> u64 {
        let headers =
            format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        let body = json!({ "kind": "group", "members": with }).to_string();
        self.ask("POST /v1/conversations", &headers, &body)["id"].as_u64().unwrap()
    }

    /// What all nodes have counted under this name.
    pub fn counted(&self, name: &str) -> u64 {
        let answer = exchange(Ipv4Addr::LOCALHOST, self.address, "GET /metrics", "", "");
        let (_, metrics) = answer.unwrap();
        let lines = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    fn ask(&self, request_line: &str, headers: &str, body: &str) -> Value {
        let answer = exchange(Ipv4Addr::LOCALHOST, self.address, request_line, headers, body);
        let (status, body) = answer.unwrap();
        assert!((200..300).contains(&status), "{status} {body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
