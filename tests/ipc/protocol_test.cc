// SPDX-License-Identifier: Apache-2.0
// PROTOCOL.md's table against the constants it speaks of.
#include "ipc/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "shared/submission.h"

namespace auspex::ipc {
namespace {

std::map<std::string, uint64_t> numbers_in_protocol_md() {
  std::ifstream in(AUSPEX_SOURCE_DIR "/ipc/PROTOCOL.md");
  std::map<std::string, uint64_t> numbers;
  for (std::string line; std::getline(in, line);) {
    std::istringstream cells(line);
    std::string bar, name;
    uint64_t value = 0;
    if (cells >> bar >> name >> bar >> value && name.starts_with("k")) numbers[name] = value;
  }
  return numbers;
}

TEST(ProtocolMd, ShowsTheConstantsOfTheCode) {
  const std::map<std::string, uint64_t> code = {{"kProtocolVersion", kProtocolVersion},
                                                {"kMaxMessageBytes", kMaxMessageBytes},
                                                {"kMaxScriptBytes", kMaxScriptBytes},
                                                {"kMaxNameBytes", kMaxNameBytes},
                                                {"kMaxTextBytes", kMaxTextBytes},
                                                {"kMaxLineBytes", kMaxLineBytes},
                                                {"kMaxArguments", kMaxArguments},
                                                {"kMaxVariables", kMaxVariables},
                                                {"kMaxJobEvents", kMaxJobEvents},
                                                {"kMaxPartitions", kMaxPartitions},
                                                {"kMaxGpuTypes", kMaxGpuTypes},
                                                {"kMaxBlockages", kMaxBlockages},
                                                {"kMaxChanges", kMaxChanges},
                                                {"kMaxTimeS", kMaxTimeS},
                                                {"kMaxMessageLineBytes", kMaxMessageLineBytes},
                                                {"kDefaultDeadline", kDefaultDeadline.count()},
                                                {"kMinDeadline", kMinDeadline.count()},
                                                {"kMaxDeadline", kMaxDeadline.count()},
                                                {"kMaxConnections", kMaxConnections},
                                                {"kMaxConnectionsPerUser", kMaxConnectionsPerUser},
                                                {"kStayAwake", kStayAwake.count()},
                                                {"kMaxMessagesPerTurn", kMaxMessagesPerTurn}};
  EXPECT_THAT(numbers_in_protocol_md(), testing::ContainerEq(code));
}

TEST(ProtocolMd, NamesTheSocket) {
  std::ifstream in(AUSPEX_SOURCE_DIR "/ipc/PROTOCOL.md");
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  EXPECT_NE(text.find(kDefaultSocket), std::string::npos);
  EXPECT_NE(text.find(kSocketVariable), std::string::npos);
}

}  // namespace
}  // namespace auspex::ipc
