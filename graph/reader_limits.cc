// SPDX-License-Identifier: Apache-2.0
#include "graph/reader_limits.h"

#include <sys/resource.h>

namespace auspex {

void limit_reader() {
  [[maybe_unused]] constexpr rlim_t kMostMemory = rlim_t{2} << 30;
  const auto limit = [](auto resource, rlim_t most) {
    const rlimit both = {most, most};
    setrlimit(resource, &both);
  };
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they map terabytes
  limit(RLIMIT_AS, kMostMemory);
#endif
  limit(RLIMIT_CPU, kMostReaderSeconds);
  limit(RLIMIT_CORE, 0);
}

}  // namespace auspex
