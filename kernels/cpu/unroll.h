// SPDX-License-Identifier: Apache-2.0
// Unrolling hint for hot loops. Sanitizer builds leave it out: instrumented, the unrolled kernels
// take minutes to compile and find nothing more.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RA_UNROLL(n)
#else
#define RA_UNROLL_PRAGMA(text) _Pragma(#text)
#define RA_UNROLL(n) RA_UNROLL_PRAGMA(GCC unroll n)
#endif
