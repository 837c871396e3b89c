// SPDX-License-Identifier: Apache-2.0
// Large arrays that are streamed: a page of 2 MiB costs one walk of the page table where 4 KiB
// pages cost 512, and a virtual machine walks two tables.
#pragma once

#include <cstddef>

namespace ra {

// Asks the kernel to back the whole pages of [p, p + bytes) with huge ones as they are first
// touched (madvise(2), MADV_HUGEPAGE). A hint: where the kernel has none, nothing changes.
void prefer_huge_pages(void* p, std::size_t bytes) noexcept;

}  // namespace ra
