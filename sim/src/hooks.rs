//! The safety net under determinism: inside a simulated thread the C library's clocks and randomness
//! come from the simulation.
//!
//! The ports are the design; these hooks catch what reaches past them: the standard library's hash
//! keys, WebSocket masks, a library that reads the time. Everywhere else (and in a real load run of
//! the same binary) they fall through to the real functions. This is the only `unsafe` code.
//!
//! Linux with glibc or musl. Elsewhere the hooks are absent, and a simulation is refused: it would not
//! be decided by its seed.
#![expect(
    unsafe_code,
    reason = "symbols of the C library are replaced; each block says why it is sound"
)]

use protocol::mix::{GAMMA, mix};
use std::cell::Cell;

/// What a simulated thread sees. Plain cells: no destructor, no lazy initialisation, so that the
/// hooks may run at any moment of a thread's life.
struct World {
    simulated: Cell<bool>,
    nanos: Cell<u64>,
    random: Cell<u64>,
}

thread_local! {
    static WORLD: World = const {
        World { simulated: Cell::new(false), nanos: Cell::new(0), random: Cell::new(0) }
    };
}

/// The simulated Unix time at the beginning of every run: 2026-01-01T00:00:00Z.
pub const EPOCH_SECONDS: u64 = 1_767_225_600;

/// Everything on this thread is simulated from now on, with randomness from `seed`.
pub fn enter(seed: u64) {
    WORLD.with(|world| {
        world.simulated.set(true);
        world.nanos.set(0);
        world.random.set(seed);
    });
}

/// Everything on this thread is real again.
pub fn leave() {
    WORLD.with(|world| world.simulated.set(false));
}

/// Sets the simulated time; it never goes back.
pub fn advance_to(elapsed: std::time::Duration) {
    WORLD.with(|world| {
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        world.nanos.set(world.nanos.get().max(nanos));
    });
}

/// The hooks do not take effect here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot simulate on this system: {0} of the standard library is not the simulated one, so the seed \
     would not decide the run. Fracas replaces clock_gettime, getrandom and getentropy of the C library; \
     that is known to work in binaries for Linux with glibc or musl"
)]
pub struct NotSimulated(&'static str);

/// Whether a thread that enters a simulation sees simulated time and randomness through the standard
/// library.
pub fn check() -> Result<(), NotSimulated> {
    // A thread draws the keys of its hash maps once: only a fresh one shows where they come from.
    let fresh = std::thread::Builder::new().name("hooks".to_owned()).spawn(|| {
        enter(0);
        let told = see();
        leave();
        told
    });
    let told = fresh.map(std::thread::JoinHandle::join);
    told.ok().and_then(Result::ok).unwrap_or(Err(NotSimulated("no thread")))
}

#[expect(clippy::disallowed_types, reason = "what reaches past the ports is what is looked at")]
fn see() -> Result<(), NotSimulated> {
    let later = std::time::Duration::from_secs(7);
    let began = std::time::Instant::now();
    advance_to(later);
    let date = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    if date.ok() != Some(std::time::Duration::from_secs(EPOCH_SECONDS) + later) {
        return Err(NotSimulated("the date"));
    }
    if began.elapsed() != later {
        return Err(NotSimulated("the clock"));
    }
    let before = draws();
    std::hint::black_box(std::hash::RandomState::new());
    if draws() == before {
        return Err(NotSimulated("the randomness"));
    }
    Ok(())
}

/// A number that changes with every draw from the hooks' stream.
pub fn draws() -> u64 {
    WORLD.with(|world| world.random.get())
}

/// The next number of the hooks' stream: splitmix64.
fn next_random(world: &World) -> u64 {
    let state = world.random.get().wrapping_add(GAMMA);
    world.random.set(state);
    mix(state)
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{EPOCH_SECONDS, WORLD, next_random};
    use libc::{c_int, c_uint, c_void, clockid_t, size_t, ssize_t, timespec};
    use std::sync::atomic::{AtomicPtr, Ordering};

    type ClockGettime = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;
    type GetRandom = unsafe extern "C" fn(*mut c_void, size_t, c_uint) -> ssize_t;

    static REAL_CLOCK: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    static REAL_RANDOM: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

    /// The next definition of a symbol behind ours, found once.
    fn real(cache: &AtomicPtr<c_void>, name: &std::ffi::CStr) -> *mut c_void {
        let known = cache.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: the name is a C string; dlsym has no other precondition.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        cache.store(found, Ordering::Relaxed);
        found
    }

    /// `clock_gettime(2)`: CPU clocks are always real, so that reports can state CPU time.
    ///
    /// # Safety
    /// As for the C function: `out` points to a `timespec`.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn clock_gettime(id: clockid_t, out: *mut timespec) -> c_int {
        let cpu = id == libc::CLOCK_PROCESS_CPUTIME_ID || id == libc::CLOCK_THREAD_CPUTIME_ID;
        let simulated =
            WORLD.with(|world| (world.simulated.get() && !cpu).then(|| world.nanos.get()));
        if let Some(nanos) = simulated {
            // SAFETY: the caller promises that `out` is valid for writing.
            unsafe {
                (*out).tv_sec = (EPOCH_SECONDS + nanos / 1_000_000_000).cast_signed();
                (*out).tv_nsec = (nanos % 1_000_000_000).cast_signed();
            }
            return 0;
        }
        let function = real(&REAL_CLOCK, c"clock_gettime");
        if function.is_null() {
            return -1;
        }
        // SAFETY: the symbol is the C library's function of exactly this type.
        unsafe { std::mem::transmute::<*mut c_void, ClockGettime>(function)(id, out) }
    }

    /// `getrandom(2)`.
    ///
    /// # Safety
    /// As for the C function: `buffer` is valid for `length` bytes.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn getrandom(
        buffer: *mut c_void,
        length: size_t,
        flags: c_uint,
    ) -> ssize_t {
        // SAFETY: the caller promises that the buffer is valid for `length` bytes.
        if unsafe { fill_simulated(buffer, length) } {
            return length.cast_signed();
        }
        let function = real(&REAL_RANDOM, c"getrandom");
        if function.is_null() {
            return -1;
        }
        // SAFETY: the symbol is the C library's function of exactly this type.
        unsafe { std::mem::transmute::<*mut c_void, GetRandom>(function)(buffer, length, flags) }
    }

    /// `getentropy(3)`.
    ///
    /// # Safety
    /// As for the C function: `buffer` is valid for `length` bytes, at most 256.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn getentropy(buffer: *mut c_void, length: size_t) -> c_int {
        // SAFETY: the same promise.
        let filled = unsafe { getrandom(buffer, length, 0) };
        if usize::try_from(filled).is_ok_and(|n| n == length) { 0 } else { -1 }
    }

    /// Fills the buffer from the seed if this thread is simulated.
    ///
    /// # Safety
    /// `buffer` is valid for writing `length` bytes.
    unsafe fn fill_simulated(buffer: *mut c_void, length: size_t) -> bool {
        WORLD.with(|world| {
            if !world.simulated.get() {
                return false;
            }
            // SAFETY: promised by the caller.
            let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
            for chunk in bytes.chunks_mut(8) {
                chunk.copy_from_slice(&next_random(world).to_le_bytes()[..chunk.len()]);
            }
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    #[expect(clippy::disallowed_types, reason = "the hook is what is tested")]
    fn a_simulated_thread_sees_simulated_time_and_only_there() {
        let real = std::time::SystemTime::now();
        super::enter(7);
        super::advance_to(Duration::from_secs(5));
        let simulated = std::time::SystemTime::now();
        super::leave();
        let since_epoch = simulated.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(since_epoch, Duration::from_secs(super::EPOCH_SECONDS + 5));
        assert!(std::time::SystemTime::now() >= real);
    }

    #[test]
    fn the_hooks_take_effect_here() {
        assert_eq!(super::check(), Ok(()));
    }

    #[test]
    fn a_thread_that_is_not_simulated_is_found_out() {
        super::leave();
        assert_eq!(super::see(), Err(super::NotSimulated("the date")));
    }

    #[test]
    #[expect(clippy::disallowed_types, reason = "the hook is what is tested")]
    fn a_real_thread_beside_a_simulation_has_real_time_and_randomness() {
        super::enter(7);
        #[expect(clippy::disallowed_methods, reason = "a real thread beside the simulated one")]
        let (keys, draws, elapsed) = std::thread::spawn(|| {
            let began = std::time::Instant::now();
            let keys = [(); 2].map(|()| {
                let mut bytes = [0_u8; 16];
                // SAFETY: the buffer is valid for its length.
                let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
                assert_eq!(got, 16);
                bytes
            });
            while began.elapsed().is_zero() {}
            (keys, super::draws(), began.elapsed())
        })
        .join()
        .unwrap();
        super::leave();
        assert_ne!(keys[0], keys[1]);
        assert_eq!(draws, 0, "nothing was drawn from the stream of a simulation");
        assert!(!elapsed.is_zero());
    }

    #[test]
    #[expect(clippy::disallowed_types, reason = "the hook is what is tested")]
    fn hash_keys_follow_the_seed() {
        // RandomState draws its keys once per thread: a fresh thread each.
        let order = |seed| {
            #[expect(clippy::disallowed_methods, reason = "a fresh thread has fresh hash keys")]
            std::thread::spawn(move || {
                super::enter(seed);
                let set: std::collections::HashSet<u32> = (0..50).collect();
                set.into_iter().collect::<Vec<_>>()
            })
            .join()
            .unwrap()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }
}
