// SPDX-License-Identifier: Apache-2.0
// auspex graph: auspex-graph does it, which reads users' files.
#include "cli/programs.h"

namespace auspex::cli {

int graph(const Words& words) {
  return hand_over(kGraphProgram, "graph", "graph", words);
}

}  // namespace auspex::cli
