//! The storage engine under an owner: redb on a disk, PostgreSQL.
