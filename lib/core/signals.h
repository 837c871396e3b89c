// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGHUP ask for a clean end: the first sets a flag that long loops poll, a
// second leaves at once with 128 + its number.
#pragma once

namespace ra {

// Installs the handlers; call once from main before long work.
void catch_signals();

// The first signal caught, 0 if none.
int caught_signal() noexcept;
inline bool interrupted() noexcept { return caught_signal() != 0; }

// "SIGINT", "SIGTERM", "SIGHUP", or "another signal".
const char* signal_name(int number);

void reset_caught_signal() noexcept;  // for tests

}  // namespace ra
