//! What a power loss and a crash leave of a simulated disk.

use super::*;

fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    if !disk.list().unwrap().contains(&name.to_owned()) {
        return None;
    }
    let file = disk.open(name).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    Some(bytes)
}

#[test]
fn synced_data_survives_a_power_loss_and_a_name_without_sync_dir_does_not() {
    let disk = SimDisk::default();
    let kept = disk.open("kept").unwrap();
    disk.sync_dir().unwrap();
    kept.write_at(0, b"synced").unwrap();
    kept.sync_data().unwrap();
    let nameless = disk.open("nameless").unwrap();
    nameless.write_at(0, b"synced too").unwrap();
    nameless.sync_data().unwrap();
    disk.power_loss(&mut crate::seed::stream(1, "test"));
    assert_eq!(content(&disk, "kept").as_deref(), Some(&b"synced"[..]));
    assert_eq!(content(&disk, "nameless"), None);
}

#[test]
fn some_unsynced_writes_are_lost_and_some_are_torn() {
    let mut total = Losses::default();
    for seed in 0..50 {
        let disk = SimDisk::default();
        let file = disk.open("file").unwrap();
        file.write_at(0, &[1; 4096]).unwrap();
        let losses = disk.power_loss(&mut crate::seed::stream(seed, "test"));
        total.lost += losses.lost;
        total.torn += losses.torn;
    }
    assert!(total.lost > 5 && total.torn > 5 && total.lost + total.torn < 50, "{total:?}");
}

#[test]
fn a_kill_keeps_the_page_cache_and_cuts_the_job_under_way() {
    for seed in 0..20 {
        let disk = SimDisk::default();
        let file = disk.open("file").unwrap();
        file.write_at(0, b"before").unwrap();
        let job = disk.begin_job();
        file.write_at(0, b"during").unwrap();
        file.set_len(3).unwrap();
        file.set_len(8).unwrap();
        disk.end_job(job);
        let losses = disk.kill(&mut crate::seed::stream(seed, "test"));
        let expected: &[u8] = match losses.cut {
            0 => b"dur\0\0\0\0\0",
            1 => b"dur",
            2 => b"during",
            _ => b"before",
        };
        assert_eq!(content(&disk, "file").as_deref(), Some(expected), "{losses:?}");
    }
}
