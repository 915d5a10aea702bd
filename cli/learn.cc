// SPDX-License-Identifier: Apache-2.0
// auspex train, evaluate, learn and quantize: auspex-learn does them.
#include "cli/programs.h"

namespace auspex::cli {
namespace {

int learning(const std::string& command, const Words& words) {
  return hand_over(kLearnProgram, "learn", command, words);
}

}  // namespace

int train(const Words& words) {
  return learning("train", words);
}
int evaluate_model(const Words& words) {
  return learning("evaluate", words);
}
int learn(const Words& words) {
  return learning("learn", words);
}
int quantize(const Words& words) {
  return learning("quantize", words);
}

}  // namespace auspex::cli
