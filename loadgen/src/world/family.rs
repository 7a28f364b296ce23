//! A process with all that it has started, and they in turn: some engines are several processes.

use std::path::Path;

/// A process and its descendants as they are now, itself first, from `/proc/PID/task/TID/children` (proc(5)).
/// Where the system does not have that file, a process is all of its family.
pub fn family(proc: &Path, id: u32) -> Vec<u32> {
    let mut family = vec![id];
    let mut asked = 0;
    while let Some(parent) = family.get(asked) {
        let children = children(&proc.join(parent.to_string()).join("task"));
        family.extend(children);
        asked += 1;
    }
    family
}

/// Those whom its threads have started. One that ends meanwhile has none.
fn children(tasks: &Path) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(tasks) else { return Vec::new() };
    let of_task = |task: std::fs::DirEntry| {
        let told = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        told.split_whitespace().map_while(|id| id.parse().ok()).collect::<Vec<u32>>()
    };
    tasks.flatten().flat_map(of_task).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_children_belong_to_it() {
        let proc = std::env::temp_dir().join(format!("fracas-family-{}", std::process::id()));
        for (task, children) in [("7/task/7", "8 "), ("7/task/9", "10 11 "), ("8/task/8", "12")] {
            let task = proc.join(task);
            std::fs::create_dir_all(&task).unwrap();
            std::fs::write(task.join("children"), children).unwrap();
        }
        let mut all = family(&proc, 7);
        assert_eq!(all.remove(0), 7);
        all.sort_unstable();
        assert_eq!(all, [8, 10, 11, 12]);
        assert_eq!(family(&proc, 99), [99]);
        std::fs::remove_dir_all(proc).unwrap();
    }
}
