// A weight's blocks as files have them, into planes.
//
// What bounds it: reading and writing them once.
#include "port.h"

/// Copies one field of each of `blocks` blocks, `words` times two bytes from word `first` on, to where that field's plane
/// has block `place`; grid: as many threads as there are words to copy.
KERNEL(spread, (u16 *plane, const u16 *from, u64 place, u64 blocks, u32 block_words, u32 first, u32 words)) {
    u64 index = (u64)block_x() * thread_count() + thread_index();
    if (index >= blocks * words) return;
    plane[place * words + index] = from[index / words * block_words + first + index % words];
}
