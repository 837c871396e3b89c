// SPDX-License-Identifier: Apache-2.0
#include "lib/core/signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace ra {
namespace {

// Runs `body` in a child and returns its exit status.
template <class Body>
int status_of(Body&& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(SignalsTest, FirstSetsTheFlagSecondLeaves) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EQ(status_of([&] {
                catch_signals();
                if (interrupted()) return 1;
                raise(number);
                return caught_signal() == number ? 0 : 2;
              }),
              0);
    EXPECT_EQ(status_of([&] {
                catch_signals();
                raise(SIGINT);
                raise(number);
                return 3;
              }),
              128 + number);
  }
}

TEST(SignalsTest, IgnoredSignalsStayIgnored) {  // nohup
  EXPECT_EQ(status_of([] {
              std::signal(SIGHUP, SIG_IGN);
              catch_signals();
              raise(SIGHUP);
              return interrupted() ? 1 : 0;
            }),
            0);
}

TEST(SignalsTest, Names) {
  EXPECT_EQ(std::string(signal_name(SIGTERM)), "SIGTERM");
  EXPECT_EQ(std::string(signal_name(SIGUSR1)), "another signal");
}

}  // namespace
}  // namespace ra
