// SPDX-License-Identifier: Apache-2.0
#include "lib/core/signals.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <initializer_list>

#include "lib/core/error.h"

namespace ra {
namespace {

std::atomic<int> caught{0};
static_assert(std::atomic<int>::is_always_lock_free);  // or the handler might deadlock

extern "C" void on_signal(int number) {
  int none = 0;
  if (!caught.compare_exchange_strong(none, number)) _exit(128 + number);
}

}  // namespace

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    // nohup and background jobs of a shell set these to "ignore" on purpose.
    struct sigaction old {};
    RA_CHECK(sigaction(number, nullptr, &old) == 0);
    if (old.sa_handler != SIG_IGN) RA_CHECK(sigaction(number, &action, nullptr) == 0);
  }
}

int caught_signal() noexcept { return caught.load(std::memory_order_relaxed); }

void reset_caught_signal() noexcept { caught = 0; }

const char* signal_name(int number) {
  switch (number) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "another signal";
  }
}

}  // namespace ra
