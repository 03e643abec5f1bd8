# The shims that stand between the binary and its disk or memory, and the tests that use them. They
# do not go together with a sanitizer, which stands in front of malloc too.
foreach(shim disk memory)
  add_library(${shim}_shim SHARED ${CMAKE_SOURCE_DIR}/tests/disk/preload/${shim}.c)
  target_link_libraries(${shim}_shim PRIVATE zandaka_flags Threads::Threads)
endforeach()

# The store alone, with small buffers.
add_executable(disk_writer ${CMAKE_SOURCE_DIR}/tests/disk/writer/disk_writer.c
  ${CMAKE_SOURCE_DIR}/tests/store/batch.c)
target_link_libraries(disk_writer PRIVATE zandaka_store)

file(GLOB disk CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/disk/test_*.py)
foreach(source ${disk})
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "^test_" "disk_" name ${name})
  add_test(NAME ${name} COMMAND /usr/bin/python3 ${source})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77 ENVIRONMENT
    "ZANDAKA=$<TARGET_FILE:zandaka>;ZANDAKA_MESSAGES=${python_messages};ZANDAKA_DISK_SHIM=$<TARGET_FILE:disk_shim>;ZANDAKA_MEMORY_SHIM=$<TARGET_FILE:memory_shim>;ZANDAKA_DISK_WRITER=$<TARGET_FILE:disk_writer>")
endforeach()
