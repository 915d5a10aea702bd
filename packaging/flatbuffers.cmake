# SPDX-License-Identifier: Apache-2.0
# auspex_schema(TARGET FILE.fbs): an interface target whose header is generated into the build
# tree, beside where FILE stands in the source tree: #include "ipc/wire_generated.h".
function(auspex_schema target schema)
  get_filename_component(name ${schema} NAME_WE)
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set(header ${PROJECT_BINARY_DIR}/${folder}/${name}_generated.h)
  add_custom_command(OUTPUT ${header} DEPENDS ${schema}
    COMMAND flatbuffers::flatc --cpp --cpp-std c++17 --scoped-enums --warnings-as-errors
            -o ${PROJECT_BINARY_DIR}/${folder} ${CMAKE_CURRENT_SOURCE_DIR}/${schema}
    VERBATIM)
  add_custom_target(${target}_generate DEPENDS ${header})
  add_library(${target} INTERFACE)
  add_dependencies(${target} ${target}_generate)
  target_include_directories(${target} SYSTEM INTERFACE ${PROJECT_BINARY_DIR})
endfunction()
