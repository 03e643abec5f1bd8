# The example callers, each built with its own toolchain and run through a network that fails.
foreach(language python go java node rust)
  add_test(NAME clients_${language} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/clients/run.sh
    ${language} ${CMAKE_BINARY_DIR})
  # The first time, a toolchain downloads its libraries and builds them.
  set_tests_properties(clients_${language} PROPERTIES TIMEOUT 1800 SKIP_RETURN_CODE 77)
endforeach()
