// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "graph/onnx_graph.h"
#include "tests/fixtures/compressed.h"
#include "tests/fixtures/files.h"

namespace auspex {

// Of an .onnx.xz below tests/graph. Errors: those of read_onnx.
inline Result<OperatorGraph> stored_graph(const std::string& file, uint64_t batch) {
  const std::string path = AUSPEX_SOURCE_DIR "/tests/graph/" + file + ".onnx.xz";
  const std::string bytes = fixtures::decompressed(fixtures::read_file(path));
  const int fd = memfd_create("model", MFD_CLOEXEC);
  EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  lseek(fd, 0, SEEK_SET);
  Result<OperatorGraph> graph = read_onnx(fd, {batch, {}});
  close(fd);
  return graph;
}

}  // namespace auspex
