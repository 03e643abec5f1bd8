# What is published of the API: the proto files are linted, and break nothing that callers hold.
add_test(NAME interface_buf COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/interface/buf.sh
  ${CMAKE_BINARY_DIR})
set_tests_properties(interface_buf PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
