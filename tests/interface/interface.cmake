# What is published of the API: the proto files are linted, and break nothing that callers hold.
add_test(NAME interface_buf COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/interface/buf.sh
  ${CMAKE_BINARY_DIR})
set_tests_properties(interface_buf PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
# The OpenAPI document is what the sources say, and what the server does.
add_test(NAME interface_openapi COMMAND /usr/bin/python3
  ${CMAKE_CURRENT_SOURCE_DIR}/interface/test_openapi.py)
set_tests_properties(interface_openapi PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77
  ENVIRONMENT "ZANDAKA=$<TARGET_FILE:zandaka>;ZANDAKA_MESSAGES=${python_messages}")
# What is installed of it is whole.
add_test(NAME interface_install COMMAND /usr/bin/python3
  ${CMAKE_CURRENT_SOURCE_DIR}/interface/test_install.py ${CMAKE_BINARY_DIR})
set_tests_properties(interface_install PROPERTIES TIMEOUT 300)
